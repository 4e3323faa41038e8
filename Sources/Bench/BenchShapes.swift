import Base
import Connectors
import Engine
import Records

/// One row for each shape: a full topic drained by one lane and by the bare loop, in the same run.
package enum BenchShapes {
    package struct Options: Sendable {
        package var records = 1_000_000
        /// Empty: all, but "lag" only with `withLag`.
        package var names: [String] = []
        package var withLag = false
        package var rounds = 1

        package init() {}
    }

    package struct Row: Sendable {
        package var name: String
        package var text: String
        package var records: Int
        package var recordBytes: Int
        package var bare: Double
        package var bareCpu: Double
        package var engine: Double
        package var engineCpu: Double
        package var answer: String
        /// The engine's answer was not that of the plain computation.
        package var isWrong = false
    }

    /// Calls `onRow` with each row as soon as it is there; false if any was wrong.
    package static func run(
        _ settings: KafkaSettings, _ options: Options, onRow: (Row) -> Void
    ) throws(Fault) -> Bool {
        var shapes = BenchShape.all.filter { $0.name != "lag" || options.withLag }
        if !options.names.isEmpty {
            for name in options.names { _ = try BenchShape.named(name) }
            shapes = BenchShape.all.filter { options.names.contains($0.name) }
        }
        let stamp = SystemClock().nowMilliseconds
        let admin = try KafkaAdmin(settings)
        try admin.checkReachable()
        var isRight = true
        var topic = (name: "", input: BenchInput?.none, bytes: 0)
        defer { if topic.input != nil { try? admin.delete([topic.name]) } }
        for (index, shape) in shapes.enumerated() {
            let isFirst = topic.input == nil
            if topic.input != shape.input {
                if !isFirst { try admin.delete([topic.name]) }
                topic = ("bench-\(stamp)-\(index)", shape.input, 0)
                topic.bytes = try BenchRecords.fill(
                    settings, admin, topic: topic.name, shape.input, records: options.records)
            }
            let drain = BenchDrain(
                settings: settings, admin: admin, shape: shape,
                answer: BenchAnswer(shape, records: options.records), topic: topic.name,
                records: options.records * shape.input.times)
            // Code, clients and the broker's caches are warm before anything counts.
            if isFirst { _ = (try drain.bare(), try? drain.engine(as: "\(topic.name)-warm")) }
            let row = try measure(drain, topic.bytes, options.rounds, name: "\(topic.name)-\(shape.name)")
            isRight = isRight && !row.isWrong
            onRow(row)
        }
        return isRight
    }

    private static func measure(
        _ drain: BenchDrain, _ bytes: Int, _ rounds: Int, name: String
    ) throws(Fault) -> Row {
        var row = Row(
            name: drain.shape.name, text: drain.shape.text, records: drain.records, recordBytes: bytes,
            bare: 0, bareCpu: 0, engine: 0, engineCpu: 0,
            answer: "\(drain.answer.alerts) alerts, \(drain.answer.dead) dead, \(drain.answer.late) late")
        var bare: [BenchDrain.Speed] = []
        var engine: [BenchDrain.Speed] = []
        for round in 0..<rounds {
            bare.append(try drain.bare())
            do throws(Fault) {
                engine.append(try drain.engine(as: "\(name)-\(round)"))
            } catch {
                // A wrong answer is a result too; the other rows are still wanted.
                guard error.domain == .defect else { throw error }
                row.isWrong = true
                row.answer = "WRONG: \(error.detail)"
            }
        }
        row.bare = median(bare.map(\.recordsPerSecond))
        row.bareCpu = median(bare.map(\.cpuNanoseconds))
        row.engine = median(engine.map(\.recordsPerSecond))
        row.engineCpu = median(engine.map(\.cpuNanoseconds))
        return row
    }
}

extension BenchShapes {
    package static let heading =
        "shape           bare k/s  engine k/s  ratio  engine CPU ns  bare CPU ns  record B  change; checked answer"
}

extension BenchShapes.Row {
    package var ratio: Double { bare > 0 ? engine / bare : 0 }

    package var line: String {
        func number(_ value: Double, _ width: Int, digits: Int = 0) -> String {
            let scale: Int64 = digits == 0 ? 1 : 100
            let text = Decimal.string(Int64((value * Double(scale)).rounded()), scale: digits)
            return String(repeating: " ", count: max(1, width - text.count)) + text
        }
        return name + String(repeating: " ", count: max(1, 14 - name.count))
            + number(bare / 1000, 10) + number(engine / 1000, 12) + number(ratio, 7, digits: 2)
            + number(engineCpu, 15)
            + number(bareCpu, 13) + number(Double(recordBytes), 10) + "  \(text); \(answer)"
    }

    package var json: String {
        var json = JsonWriter()
        json.beginObject()
        json.member("shape", name)
        json.member("text", text)
        json.member("records", Int64(records))
        json.member("record_bytes", Int64(recordBytes))
        for (name, value) in [
            ("bare_records_per_second", bare), ("engine_records_per_second", engine), ("ratio", ratio),
            ("engine_cpu_ns_per_record", engineCpu), ("bare_cpu_ns_per_record", bareCpu),
        ] {
            json.name(name)
            json.raw("\(value)")
        }
        json.member("answer", answer)
        json.name("right")
        json.bool(!isWrong)
        json.endObject()
        return json.string
    }
}
