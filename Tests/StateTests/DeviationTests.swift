import Base
import Testing

@testable import State

/// Goal: a standard deviation is the nearest there is at its scale, half to even, for values of any size, and
/// none where it does not fit; and what is taken out leaves what was there before. Method: values whose
/// deviation was computed in integers of any length by another program.
@Suite struct DeviationTests {
    static let samples: [(values: [Int64], places: Int, deviation: Int64?)] = [
        (
            [
                -9_223_372_036_854_775_807, 9_223_372_036_854_775_807, -9_223_372_036_854_775_807,
                9_223_372_036_854_775_807,
            ], 6, nil
        ),
        ([-9_223_372_036_854_775_807, 9_223_372_036_854_775_807], 0, 9_223_372_036_854_775_807),
        ([.min, 9_223_372_036_854_775_807], 0, nil),
        ([.min, .min, .min], 6, 0),
        ([9_223_372_036_854_775_807, 9_223_372_036_854_775_807], 6, 0),
        ([1], 6, 0),
        ([1, 2], 6, 500000),
        ([1, 2, 3, 4], 6, 1_118_034),
        ([0, 0, 1], 2, 47),
        ([2, 4, 4, 4, 5, 5, 7, 9], 6, 2_000_000),
        ([9_223_372_036_854_775_807, 9_223_372_036_854_775_806], 6, 500000),
        ([9_000_000_000_000, -9_000_000_000_000], 6, 9_000_000_000_000_000_000),
        ([9_223_372_036_854, -9_223_372_036_854, 0], 6, 7_530_851_732_715_687_307),
        ([1, 1, 1, 2], 0, 0),
        ([0, 1], 0, 0),
        ([0, 3], 0, 2),
        ([1, 4, 1, 4], 0, 2),
        ([-6_827_618_209_167_553_473, -8_242_441_797_699_852_035], 2, nil),
        ([307, -431, -625, 644, -823], 2, 56400),
        ([-433_148_578_499_825, -393_598_060_615_658, 264_567_925_510_269], 2, 31_999_219_239_191_989),
        (
            [1_588_371_655_423_613_065, -9_058_277_352_658_197_286, 2_054_307_787_672_993_085], 0,
            5_132_226_937_930_058_382
        ),
        ([-166_010_358, -1_721_042_064, 1_845_099_044], 2, 145_983_435_269),
        ([1_966_149_532, 1_313_422_746], 6, 326_363_393_000_000),
        ([-596073, 696301, -253117, -967574, 705092, 961409, -39992, -114986], 6, 638_119_591_911),
        ([-1_461_998_244, 1_968_675_020, 735_018_271], 1, 14_188_535_899),
        ([-3_716_122_523_402, -36_421_075_658_160, -875_296_353_371_060], 1, 4_033_792_596_885_438),
        (
            [
                738_617_290, 2_130_035_158, -812_129_886, 51_631_122, 1_098_264_464, 1_397_537_850,
                -1_449_635_491, -2_022_494_307,
            ], 2, 136_637_844_022
        ),
        (
            [
                -986_623_859_613_973_162, 28_337_135_594_152_884, 1_036_963_875_537_419_608,
                -1_051_772_372_470_148_206, -963_374_929_986_931_948, 532_489_279_034_137_523,
                -634_220_710_504_700_940, -1_030_096_619_763_714_386,
            ], 2, nil
        ),
        ([-9, -6, -5, -15, -15], 2, 429),
        ([-376_125_114, 1_064_593_754, -883_742_304, -69_755_672, -87_886_091], 6, 639_298_112_207_610),
        (
            [
                -472_627_671, 1_605_800_128, -97_439_828, -1_287_891_686, 1_411_585_847, -459_457_431,
                1_187_115_220, -2_106_489_384,
            ], 1, 12_507_162_437
        ),
        ([406_707_601_965_659, 484_634_687_729_247], 0, 38_963_542_881_794),
        ([1_089_585_093, 314_005_245], 0, 387_789_924),
        (
            [
                -51_920_262, -1_867_844_097, -854_804_784, -1_202_347_185, -1_577_761_133, 1_656_823_992,
                -491_775_591, 1_550_846_131,
            ], 6, 1_252_092_951_760_981
        ),
        (
            [
                1_100_476_724, 433_062_337, -126_605_625, -117_877_501, 461_199_840, -13_888_429,
                1_105_333_894, -1_935_449_468,
            ], 0, 901_837_042
        ),
        ([-11, -4], 6, 3_500_000),
        ([672_432_636_284, -221_276_749_831, 740_809_398_946], 2, 43_830_501_887_901),
        ([-323, -557], 6, 117_000_000),
        (
            [
                359_004_291_124_789, -530_267_892_637_246, 838_449_264_476_297, -987_055_351_381_213,
                557_279_035_564_989, -140_944_639_340_541, -567_470_708_522_175, 1_013_266_555_317_044,
            ], 2, 68_280_168_910_510_240
        ),
        (
            [
                6_562_309_089_695_332_546, 2_465_277_677_076_709_521, -5_962_269_616_879_676_386,
                5_802_624_288_050_099_221, 467_421_567_587_052_824, 1_585_752_286_867_352_828,
                19_161_993_981_795_978, -3_519_934_182_839_417_052,
            ], 1, nil
        ),
        ([-5, -5, 11], 1, 75),
    ]

    @Test(arguments: samples)
    func isTheNearest(values: [Int64], places: Int, deviation: Int64?) {
        let words = Self.make()
        defer { words.deallocate() }
        for value in values { Deviation.add(value, to: words) }
        let found = Deviation.read(words, places: places)
        #expect(found.valid == (deviation == nil ? 2 : 1))
        if let deviation { #expect(found.value == deviation) }
    }

    @Test func ofNothing() {
        let words = Self.make()
        defer { words.deallocate() }
        #expect(Deviation.read(words, places: 6).valid == 0)
    }

    /// Panes that come and go, of the greatest numbers.
    @Test func whatIsTakenOutLeavesWhatWasThere() {
        var random = SplitMix64(seed: 40)
        print("seed 40")
        let total = Self.make()
        defer { total.deallocate() }
        var panes: [(words: Accumulator, values: [Int64])] = []
        for _ in 0..<500 {
            let pane = Self.make()
            var values: [Int64] = []
            for _ in 0..<random.next() % 5 {
                let value =
                    random.next() % 4 == 0
                    ? (random.next() % 2 == 0 ? .min : .max) : Int64(bitPattern: random.next())
                values.append(value)
                Deviation.add(value, to: pane)
            }
            Deviation.merge(pane, into: total)
            panes.append((pane, values))
            while panes.count > Int(random.next() % 6) {
                let (gone, _) = panes.removeFirst()
                Deviation.subtract(gone, outOf: total)
                gone.deallocate()
            }
            let anew = Self.make()
            defer { anew.deallocate() }
            for value in panes.flatMap(\.values) { Deviation.add(value, to: anew) }
            #expect((0..<Deviation.words).allSatisfy { total[$0] == anew[$0] })
        }
        for pane in panes { pane.words.deallocate() }
    }

    private static func make() -> Accumulator {
        let words = Accumulator.allocate(capacity: Deviation.words)
        words.initialize(repeating: 0, count: Deviation.words)
        return words
    }
}
