import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [react()],
  // Relative addresses: the built files work below whatever STATIC_URL says.
  base: "./",
  publicDir: "public",
  build: {
    outDir: "../dist",
    emptyOutDir: true,
    manifest: true,
    // No data: addresses, so that a strict content policy need not allow them.
    assetsInlineLimit: 0,
    target: ["chrome123", "firefox120", "safari17.5"],
    // One lazy chunk holds three.js, above the size at which Vite warns.
    chunkSizeWarningLimit: 800,
    rolldownOptions: {
      input: ["site/main.ts", "graph/main.tsx", "live/main.tsx", "compare/main.tsx"],
    },
  },
  test: {
    environment: "happy-dom",
    include: ["{site,shared,api,graph,live,series,compare,files}/**/*.test.{ts,tsx}"],
    restoreMocks: true,
  },
});
