import Base
import Foundation
import Testing
import Topology

/// Goal: the least and the greatest text of sliding windows, by bytes, of what is kept of them. Method:
/// random texts, some of one beginning and longer than what is kept, against every record; records out of
/// order, deaths in between.
@Suite struct TextExtremeTests {
    @Test(arguments: [(1, 0), (16, 100), (64, 100)] as [(Int, UInt64)]) func ofSlidingWindows(
        rowsMax: Int, crashes: UInt64
    ) throws {
        for seed in UInt64(1)...3 {
            print("seed \(seed), batches of \(rowsMax), crashes \(crashes)")
            var random = SplitMix64(seed: seed)
            let cluster = try TaskCluster(
                """
                topology: t
                latency: 1d
                sources:
                  e:
                    kafka: { topic: e }
                    time: { field: ts, out_of_order: 2s }
                    schema: { k: text, v: text?, ts: { type: timestamp, unit: ms } }
                steps:
                  w:
                    from: e
                    key: k
                    window: { size: 5s, slide: 1s }
                    aggregate: { lo: min(v), hi: max(v), some: "max(v, starts_with(v, \\"b\\"))" }
                sinks:
                  out: { kafka: { topic: o }, from: [w] }
                """, partitions: 1, rowsMax: rowsMax)
            let beginnings = [
                "", "a", "ab", "b", String(repeating: "é", count: 31), String(repeating: "b", count: 62),
            ]
            var events: [(key: String, value: String?, time: Int)] = []
            for index in 0..<300 {
                let text = beginnings[Int(random.next() % 6)] + ["", "x", "ü", "🙂z"][Int(random.next() % 4)]
                let value = random.next() % 6 == 0 ? nil : text
                events.append(
                    ("k\(random.next() % 3)", value, 1_000_000 + index * 200 - Int(random.next() % 1900)))
            }
            for event in events {
                let value = event.value.map { "\"\($0)\"" } ?? "null"
                try cluster.append(
                    "e", key: event.key, "{\"k\":\"\(event.key)\",\"v\":\(value),\"ts\":\(event.time)}")
            }
            try cluster.run(&random, crashesPerMille: crashes, until: 10_000_000)
            #expect(cluster.deadCount == 0 && cluster.lateCount == 0)
            /// The first 63 bytes, without part of a character.
            func kept(_ text: String) -> String {
                var result = ""
                for scalar in text.unicodeScalars {
                    guard (result + String(scalar)).utf8.count <= 63 else { break }
                    result.unicodeScalars.append(scalar)
                }
                return result
            }
            func precedes(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }
            var expected: Set<String> = []
            for end in 990...1080 {
                for key in ["k0", "k1", "k2"] {
                    let own = events.filter {
                        $0.key == key && $0.time >= end * 1000 - 5000 && $0.time < end * 1000
                    }
                    guard !own.isEmpty else { continue }
                    let values = own.compactMap(\.value).map { kept($0) }
                    let some = values.filter { $0.hasPrefix("b") }
                    expected.insert(
                        "\(key) \(end) \(values.min(by: precedes) ?? "-") \(values.max(by: precedes) ?? "-") \(some.max(by: precedes) ?? "-")"
                    )
                }
            }
            let found = try cluster.outputs.map { output -> String in
                let row = try #require(
                    try JSONSerialization.jsonObject(with: Data(output.text.utf8)) as? [String: Any])
                let (key, window, values) = (
                    row["key"] as? [String: Any] ?? [:], row["window"] as? [String: Any] ?? [:],
                    row["values"] as? [String: Any] ?? [:]
                )
                let end = CalendarWindowTests.milliseconds(window["end"] as? String ?? "") / 1000
                func text(_ name: String) -> String { values[name] as? String ?? "-" }
                return "\(key["k"] ?? "-") \(end) \(text("lo")) \(text("hi")) \(text("some"))"
            }
            let missing = expected.subtracting(found).first ?? "none"
            #expect(
                Set(found) == expected && found.count == expected.count,
                "seed \(seed): \(missing) of \(found.first ?? "")")
        }
    }
}
