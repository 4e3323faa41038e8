import CKernels
import Testing

/// Goal: one result on every machine. Method: each level that this processor has, on the same random layer.
@Suite struct KernelTests {
    @Test func everyLevelHasTheSameBytes() {
        let (inputs, units, steps, lanes) = (5, 9, 7, Int(ckernels_lanes))
        var state: UInt64 = 11
        func random(_ count: Int) -> [Float] {
            (0..<count).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return Float(Double(state >> 11) / 9_007_199_254_740_992 * 4 - 2)
            }
        }
        let (weights, bias, sequences) = (
            random(units * (inputs + units) * 4), random(units * 4), random(steps * inputs * lanes)
        )
        func run() -> [Float] {
            var out = [Float](repeating: 0, count: steps * units * lanes)
            var cells = [Float](repeating: 0, count: units * lanes)
            ckernels_lstm(weights, bias, inputs, units, steps, sequences, &out, &cells)
            return out + cells
        }
        let best = run()
        var levels = 0
        for level in ["portable", "avx2"] where ckernels_use(level) != 0 {
            levels += 1
            #expect(run().map(\.bitPattern) == best.map(\.bitPattern), "\(level)")
        }
        #expect(levels >= 1)
        #expect(ckernels_use("none") == 0)
    }
}
