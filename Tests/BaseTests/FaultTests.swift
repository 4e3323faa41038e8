import Base
import Testing

@Suite struct FaultTests {
    @Test func randomStreamIsTheSameEverywhere() {
        // Goal: a seed repeats a run. Method: the first values of the published reference.
        var random = SplitMix64(seed: 1_234_567)
        #expect(random.next() == 6_457_827_717_110_365_317)
        #expect(random.next() == 3_203_168_211_198_807_973)
    }
}
