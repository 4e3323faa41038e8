import Base
import Testing

@testable import State

/// Goal: a standard deviation is the nearest there is at its scale, half to even, for values of any size, and none where
/// it does not fit; and what is taken out leaves what was there before. Method: values whose deviation was computed in
/// integers of any length by another program.
@Suite struct DeviationTests {
    static let samples: [(values: [Int64], places: Int, deviation: Int64?)] = [
        ([-9223372036854775807, 9223372036854775807, -9223372036854775807, 9223372036854775807], 6, nil),
        ([-9223372036854775807, 9223372036854775807], 0, 9223372036854775807),
        ([.min, 9223372036854775807], 0, nil),
        ([.min, .min, .min], 6, 0),
        ([9223372036854775807, 9223372036854775807], 6, 0),
        ([1], 6, 0),
        ([1, 2], 6, 500000),
        ([1, 2, 3, 4], 6, 1118034),
        ([0, 0, 1], 2, 47),
        ([2, 4, 4, 4, 5, 5, 7, 9], 6, 2000000),
        ([9223372036854775807, 9223372036854775806], 6, 500000),
        ([9000000000000, -9000000000000], 6, 9000000000000000000),
        ([9223372036854, -9223372036854, 0], 6, 7530851732715687307),
        ([1, 1, 1, 2], 0, 0),
        ([0, 1], 0, 0),
        ([0, 3], 0, 2),
        ([1, 4, 1, 4], 0, 2),
        ([-6827618209167553473, -8242441797699852035], 2, nil),
        ([307, -431, -625, 644, -823], 2, 56400),
        ([-433148578499825, -393598060615658, 264567925510269], 2, 31999219239191989),
        ([1588371655423613065, -9058277352658197286, 2054307787672993085], 0, 5132226937930058382),
        ([-166010358, -1721042064, 1845099044], 2, 145983435269),
        ([1966149532, 1313422746], 6, 326363393000000),
        ([-596073, 696301, -253117, -967574, 705092, 961409, -39992, -114986], 6, 638119591911),
        ([-1461998244, 1968675020, 735018271], 1, 14188535899),
        ([-3716122523402, -36421075658160, -875296353371060], 1, 4033792596885438),
        ([738617290, 2130035158, -812129886, 51631122, 1098264464, 1397537850, -1449635491, -2022494307], 2, 136637844022),
        ([-986623859613973162, 28337135594152884, 1036963875537419608, -1051772372470148206, -963374929986931948, 532489279034137523, -634220710504700940, -1030096619763714386], 2, nil),
        ([-9, -6, -5, -15, -15], 2, 429),
        ([-376125114, 1064593754, -883742304, -69755672, -87886091], 6, 639298112207610),
        ([-472627671, 1605800128, -97439828, -1287891686, 1411585847, -459457431, 1187115220, -2106489384], 1, 12507162437),
        ([406707601965659, 484634687729247], 0, 38963542881794),
        ([1089585093, 314005245], 0, 387789924),
        ([-51920262, -1867844097, -854804784, -1202347185, -1577761133, 1656823992, -491775591, 1550846131], 6, 1252092951760981),
        ([1100476724, 433062337, -126605625, -117877501, 461199840, -13888429, 1105333894, -1935449468], 0, 901837042),
        ([-11, -4], 6, 3500000),
        ([672432636284, -221276749831, 740809398946], 2, 43830501887901),
        ([-323, -557], 6, 117000000),
        ([359004291124789, -530267892637246, 838449264476297, -987055351381213, 557279035564989, -140944639340541, -567470708522175, 1013266555317044], 2, 68280168910510240),
        ([6562309089695332546, 2465277677076709521, -5962269616879676386, 5802624288050099221, 467421567587052824, 1585752286867352828, 19161993981795978, -3519934182839417052], 1, nil),
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
                let value = random.next() % 4 == 0 ? (random.next() % 2 == 0 ? .min : .max) : Int64(bitPattern: random.next())
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
