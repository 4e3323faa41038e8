// Kernels whose speed depends on the processor's width, and whose results do not.
#pragma once

enum { ckernels_lanes = 16 };

// One LSTM layer over sixteen sequences side by side, gates in the order i, f, g, o:
//   c' = sigmoid(f) c + sigmoid(i) tanh(g), h' = sigmoid(o) tanh(c').
// weights[unit][input + unit][gate] and bias[unit][gate]; in[step][input][lane]; out[step][unit][lane] gets h'.
// state: room for units * lanes floats. A sum begins with the bias and goes over the inputs, then the units, in order,
// without fused multiplications: the same bytes on every machine.
void ckernels_lstm(const float *weights, const float *bias, long inputs, long units, long steps, const float *in,
                   float *out, float *state);

// out[unit][lane] = bias[unit] + sum of weights[unit][input] in[input][lane].
void ckernels_dense(const float *weights, const float *bias, long inputs, long units, const float *in, float *out);

// "avx2" or "portable": what the functions above use here.
const char *ckernels_level(void);

// Takes a level other than the processor's best; 0 if it has none of that name. For tests.
int ckernels_use(const char *level);
