/* The loops a C programmer would write for an ensemble of oscillators: gcc -O3 -march=native turns them into vector
   code. Structure of arrays, single precision; `strip` cells go through all steps before the next ones begin. */

typedef struct { float x, y, z; } state;

static inline state chua(state s, const float *p) {
    float clamped = s.x < -1 ? -1 : (s.x > 1 ? 1 : s.x);
    float diode = p[3] * s.x + (p[2] - p[3]) * clamped;
    return (state){p[0] * (s.y - s.x - diode), s.x - s.y + s.z, -p[1] * s.y};
}

static inline state lorenz(state s, const float *p) {
    return (state){p[0] * (s.y - s.x), s.x * (p[1] - s.z) - s.y, s.x * s.y - p[2] * s.z};
}

static inline state at(state s, float h, state k) {
    return (state){s.x + h * k.x, s.y + h * k.y, s.z + h * k.z};
}

#define RK4(cell)                                                                                                      \
    void rk4_##cell(float *restrict x, float *restrict y, float *restrict z, int n, int strip, int steps, float h,     \
                    const float *p) {                                                                                  \
        for (int low = 0; low < n; low += strip) {                                                                     \
            int high = low + strip < n ? low + strip : n;                                                              \
            for (int step = 0; step < steps; step++)                                                                   \
                for (int i = low; i < high; i++) {                                                                     \
                    state s = {x[i], y[i], z[i]};                                                                      \
                    state a = cell(s, p), b = cell(at(s, h / 2, a), p), c = cell(at(s, h / 2, b), p);                  \
                    state d = cell(at(s, h, c), p);                                                                    \
                    x[i] = s.x + h / 6 * (a.x + 2 * b.x + 2 * c.x + d.x);                                              \
                    y[i] = s.y + h / 6 * (a.y + 2 * b.y + 2 * c.y + d.y);                                              \
                    z[i] = s.z + h / 6 * (a.z + 2 * b.z + 2 * c.z + d.z);                                              \
                }                                                                                                      \
        }                                                                                                              \
    }

RK4(chua)
RK4(lorenz)

/* Coupled along x with `width` neighbours, in passes over all cells, as the stages need each other. */

static void slopes(const float *restrict s, float *restrict k, float *restrict near, const int *restrict neighbours,
                   int width, int n, float coupling, const float *p) {
    for (int i = 0; i < n; i++) near[i] = 0;
    for (int w = 0; w < width; w++)
        for (int i = 0; i < n; i++) near[i] += s[neighbours[w * n + i]];
    for (int i = 0; i < n; i++) {
        state d = chua((state){s[i], s[n + i], s[2 * n + i]}, p);
        k[i] = d.x + coupling * (near[i] / width - s[i]);
        k[n + i] = d.y;
        k[2 * n + i] = d.z;
    }
}

void rk4_coupled_chua(float *restrict s, float *restrict u, float *restrict k, float *restrict near,
                      const int *restrict neighbours, int width, int n, int steps, float h, float coupling,
                      const float *p) {
    float *a = k, *b = k + 3 * n, *c = k + 6 * n, *d = k + 9 * n;
    for (int step = 0; step < steps; step++) {
        slopes(s, a, near, neighbours, width, n, coupling, p);
        for (int i = 0; i < 3 * n; i++) u[i] = s[i] + h / 2 * a[i];
        slopes(u, b, near, neighbours, width, n, coupling, p);
        for (int i = 0; i < 3 * n; i++) u[i] = s[i] + h / 2 * b[i];
        slopes(u, c, near, neighbours, width, n, coupling, p);
        for (int i = 0; i < 3 * n; i++) u[i] = s[i] + h * c[i];
        slopes(u, d, near, neighbours, width, n, coupling, p);
        for (int i = 0; i < 3 * n; i++) s[i] += h / 6 * (a[i] + 2 * b[i] + 2 * c[i] + d[i]);
    }
}
