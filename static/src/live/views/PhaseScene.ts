// The phase space in WebGL: fading trails of some cells, coloured by speed. Loaded only where it is shown.
import {
  BufferAttribute,
  BufferGeometry,
  CanvasTexture,
  Color,
  DynamicDrawUsage,
  LineBasicMaterial,
  LineSegments,
  PerspectiveCamera,
  Scene,
  ShaderMaterial,
  Sprite,
  SpriteMaterial,
  Vector3,
  WebGLRenderer,
} from "three";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";
import { token } from "../../shared/colour";
import { currentTheme } from "../../site/theme";
import type { TrailRing } from "../trail";

// Viridis, cut at the end that would vanish into the ground it is drawn on.
const PALETTES = {
  light: ["#440154", "#414487", "#2a788e", "#1a9a7c", "#4c9a2a"],
  dark: ["#6a6fd0", "#3f9fb0", "#35b779", "#a2da37", "#fde725"],
} as const;

export function palette(): readonly string[] {
  return PALETTES[currentTheme()];
}

const VERTEX = /* glsl */ `
  attribute float speed;
  attribute float slot;
  uniform float head;
  uniform float slots;
  uniform float topSpeed;
  uniform vec3 scale;
  varying float vSpeed;
  varying float vAge;
  void main() {
    vSpeed = topSpeed > 0.0 ? clamp(speed / topSpeed, 0.0, 1.0) : 0.0;
    vAge = mod(head - slot + slots, slots) / slots;
    gl_Position = projectionMatrix * modelViewMatrix * vec4(position * scale, 1.0);
  }
`;

const FRAGMENT = /* glsl */ `
  uniform vec3 colours[5];
  varying float vSpeed;
  varying float vAge;
  void main() {
    float place = vSpeed * 4.0;
    int index = int(min(floor(place), 3.0));
    vec3 low = colours[0];
    vec3 high = colours[1];
    if (index == 1) { low = colours[1]; high = colours[2]; }
    if (index == 2) { low = colours[2]; high = colours[3]; }
    if (index == 3) { low = colours[3]; high = colours[4]; }
    float fade = 1.0 - vAge;
    gl_FragColor = vec4(mix(low, high, place - float(index)), 0.06 + 0.84 * fade * fade);
    #include <colorspace_fragment>
  }
`;

export class PhaseScene {
  readonly #renderer: WebGLRenderer;
  readonly #scene = new Scene();
  readonly #camera = new PerspectiveCamera(38, 1, 0.1, 50);
  readonly #controls: OrbitControls;
  readonly #material: ShaderMaterial;
  readonly #geometry = new BufferGeometry();
  readonly #frame: LineSegments<BufferGeometry, LineBasicMaterial>;
  readonly #labels: Sprite[] = [];
  readonly #trail: TrailRing;
  readonly #render: () => void;
  #uploaded = -1;

  /** Raises an Error when the browser gives no WebGL context. `smooth` asks for antialiasing and fine
   * pixels; `moved` is called when the view was turned. */
  constructor(canvas: HTMLCanvasElement, trail: TrailRing, smooth: boolean, moved: () => void) {
    this.#trail = trail;
    this.#render = moved;
    this.#renderer = new WebGLRenderer({ canvas, antialias: smooth, alpha: true, powerPreference: "low-power" });
    this.#renderer.setPixelRatio(smooth ? Math.min(devicePixelRatio, 2) : 1);
    this.#camera.position.set(2.8, 1.7, 3.7);
    this.#controls = new OrbitControls(this.#camera, canvas);
    this.#controls.enablePan = false;
    this.#controls.minDistance = 1.6;
    this.#controls.maxDistance = 8;
    // The wheel belongs to the page; pinching and the keys + and - change the distance.
    this.#controls.enableZoom = false;
    this.#controls.addEventListener("change", moved);
    this.#material = new ShaderMaterial({
      vertexShader: VERTEX,
      fragmentShader: FRAGMENT,
      transparent: true,
      depthWrite: false,
      uniforms: {
        head: { value: 0 },
        slots: { value: trail.slots },
        topSpeed: { value: 0 },
        scale: { value: new Vector3(1, 1, 1) },
        colours: { value: [] as Color[] },
      },
    });
    this.#buildTrails();
    this.#frame = box();
    this.#scene.add(this.#frame);
    this.recolour();
  }

  resize(width: number, height: number): void {
    this.#renderer.setSize(width, height, false);
    this.#camera.aspect = width / height;
    // A narrow window must still hold the whole box.
    this.#camera.fov = width < height ? 48 : 38;
    this.#camera.updateProjectionMatrix();
  }

  recolour(): void {
    this.#uniform("colours", palette().map((hex) => new Color(hex)));
    this.#frame.material.color.set(token("--line-strong"));
    for (const label of this.#labels) {
      this.#scene.remove(label);
      label.material.map?.dispose();
      label.material.dispose();
    }
    this.#labels.length = 0;
    const ink = token("--ink-2");
    const corners: [string, Vector3][] = [
      ["x", new Vector3(0, -1.12, 1.12)],
      ["y", new Vector3(1.12, 0, 1.12)],
      ["z", new Vector3(1.12, -1.12, 0)],
    ];
    for (const [text, place] of corners) {
      const label = axisLabel(text, ink);
      label.position.copy(place);
      this.#labels.push(label);
      this.#scene.add(label);
    }
    this.#render();
  }

  turn(across: number, up: number): void {
    const offset = this.#camera.position.clone();
    offset.applyAxisAngle(new Vector3(0, 1, 0), across);
    const side = new Vector3().crossVectors(offset, this.#camera.up).normalize();
    const tilted = offset.clone().applyAxisAngle(side, up);
    const slope = tilted.angleTo(this.#camera.up);
    this.#camera.position.copy(slope > 0.15 && slope < Math.PI - 0.15 ? tilted : offset);
    this.#controls.update();
    this.#render();
  }

  zoom(factor: number): void {
    const distance = this.#camera.position.length() * factor;
    this.#camera.position.setLength(Math.min(Math.max(distance, 1.6), 8));
    this.#controls.update();
    this.#render();
  }

  draw(): void {
    this.#upload();
    const [x, y, z] = this.#trail.extent;
    this.#uniform("head", Math.max(this.#trail.head, 0));
    this.#uniform("topSpeed", this.#trail.topSpeed);
    this.#uniform("scale", new Vector3(1 / (x || 1), 1 / (y || 1), 1 / (z || 1)));
    this.#geometry.clearGroups();
    const pairs = this.#trail.cells * 2;
    for (const [first, steps] of this.#trail.strips()) this.#geometry.addGroup(first * pairs, steps * pairs, 0);
    this.#renderer.render(this.#scene, this.#camera);
  }

  dispose(): void {
    this.#controls.dispose();
    this.#geometry.dispose();
    this.#material.dispose();
    this.#frame.geometry.dispose();
    this.#frame.material.dispose();
    for (const label of this.#labels) label.material.map?.dispose();
    this.#renderer.dispose();
  }

  #uniform(name: string, value: unknown): void {
    const uniform = this.#material.uniforms[name];
    if (!uniform) throw new Error(`the shader has no uniform ${name}`);
    uniform.value = value;
  }

  #buildTrails(): void {
    const { cells, slots, positions, speeds } = this.#trail;
    const slotOf = new Float32Array(slots * cells);
    const index = new Uint32Array(slots * cells * 2);
    for (let slot = 0; slot < slots; slot += 1) {
      for (let cell = 0; cell < cells; cell += 1) {
        const vertex = slot * cells + cell;
        slotOf[vertex] = slot;
        index[vertex * 2] = vertex;
        index[vertex * 2 + 1] = ((slot + 1) % slots) * cells + cell;
      }
    }
    this.#geometry.setAttribute("position", new BufferAttribute(positions, 3).setUsage(DynamicDrawUsage));
    this.#geometry.setAttribute("speed", new BufferAttribute(speeds, 1).setUsage(DynamicDrawUsage));
    this.#geometry.setAttribute("slot", new BufferAttribute(slotOf, 1));
    this.#geometry.setIndex(new BufferAttribute(index, 1));
    const lines = new LineSegments(this.#geometry, [this.#material]);
    lines.frustumCulled = false;
    this.#scene.add(lines);
  }

  /** Sends to the graphics card only the slots that were written since the last time. */
  #upload(): void {
    const { head, slots, cells } = this.#trail;
    if (head < 0 || head === this.#uploaded) return;
    const ranges: [number, number][] =
      this.#uploaded < 0
        ? [[0, slots]]
        : head > this.#uploaded
          ? [[this.#uploaded + 1, head - this.#uploaded]]
          : [
              [this.#uploaded + 1, slots - this.#uploaded - 1],
              [0, head + 1],
            ];
    for (const [name, width] of [
      ["position", 3],
      ["speed", 1],
    ] as const) {
      const attribute = this.#geometry.getAttribute(name) as BufferAttribute;
      attribute.clearUpdateRanges();
      for (const [first, count] of ranges) {
        if (count > 0) attribute.addUpdateRange(first * cells * width, count * cells * width);
      }
      attribute.needsUpdate = true;
    }
    this.#uploaded = head;
  }
}

function box(): LineSegments<BufferGeometry, LineBasicMaterial> {
  // The three edges that carry the axes, and the floor.
  const lines = [
    [-1, -1, 1, 1, -1, 1],
    [1, -1, 1, 1, 1, 1],
    [1, -1, 1, 1, -1, -1],
    [-1, -1, -1, 1, -1, -1],
    [-1, -1, -1, -1, -1, 1],
  ].flat();
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(new Float32Array(lines), 3));
  return new LineSegments(geometry, new LineBasicMaterial());
}

function axisLabel(text: string, colour: string): Sprite {
  const canvas = document.createElement("canvas");
  canvas.width = 64;
  canvas.height = 64;
  const context = canvas.getContext("2d");
  if (!context) throw new Error("the browser gives no 2D canvas for the axis labels");
  context.font = "500 44px ui-monospace, monospace";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillStyle = colour;
  context.fillText(text, 32, 34);
  const sprite = new Sprite(new SpriteMaterial({ map: new CanvasTexture(canvas), depthTest: false }));
  sprite.scale.setScalar(0.16);
  return sprite;
}
