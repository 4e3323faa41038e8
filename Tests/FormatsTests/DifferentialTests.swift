import Base
import Formats
import Records
import Testing

/// The same random rows as JSON and as CSV give the same columns, refused rows included.
@Suite struct DifferentialTests {
    @Test(arguments: [UInt64(31), 32, 33])
    func jsonAndCsvAgree(seed: UInt64) throws {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let zone = try TimeZoneTable.read("Asia/Shanghai")
        for _ in 0..<40 {
            let unit = ([nil] + EpochTime.Unit.allCases).randomElement(using: &random) ?? nil
            let isOptional = random.next() % 2 == 0
            let columns = [
                WireColumn("a", .text, optional: isOptional, nulls: ["-"]),
                WireColumn("b.c", .int, optional: isOptional),
                WireColumn("d", .decimal(scale: 2), optional: isOptional, rounded: random.next() % 2 == 0),
                WireColumn("e", .bool, optional: isOptional, nulls: ["-"]),
                WireColumn("f", .timestamp, optional: isOptional, zone: zone, unit: unit),
                WireColumn("g", .duration, optional: isOptional),
                WireColumn("h", .decimal(scale: 3), optional: isOptional, base64: true),
                WireColumn("i", .text, optional: isOptional, numbers: true),
            ]
            let dialect = CsvDialectTests.dialect([",", ";"].randomElement(using: &random) ?? ",")
            let json = Harness(JsonDecoder(columns), columns)
            let csv = Harness(CsvDecoder(columns, dialect: dialect, capacity: 16), columns)
            for _ in 0..<30 {
                let rows = (0..<16).map { _ in columns.map { value(of: $0, &random) } }
                let fromJson = json.decode(rows.map { Array(object($0, columns).utf8) })
                let fromCsv = csv.decode(rows.map { Array(record($0, dialect, &random).utf8) })
                #expect(fromJson == fromCsv, "\(rows)")
            }
        }
    }

    /// nil: no value. Numbers are written as they are, without quotes, in JSON too.
    private struct Value: CustomStringConvertible {
        var text: String?
        var isNumber = false
        var description: String { "\(text ?? "nothing")\(isNumber ? "#" : "")" }
    }

    private func value(of column: WireColumn, _ random: inout SplitMix64) -> Value {
        func pick(_ choices: [String]) -> String { choices.randomElement(using: &random) ?? "" }
        if random.next() % 8 == 0 { return Value() }
        let numbers = [
            "0", "-1", "12", "1.5", "1e2", "99999999999999999999", "0.005", "1294222500", "1294222500000",
            "1294222500.75", "-0.001", "1294222500000000",
        ]
        if column.reading.isBase64 {
            return Value(text: pick(["AMNQ", "w1A=", "/w==", "x", "AAAAAAAAAAAAAAAA", "1234"]))
        }
        switch column.field.type {
        case .text:
            if column.reading.takesNumbers, random.next() % 2 == 0 {
                return Value(text: pick(numbers), isNumber: true)
            }
            return Value(
                text: pick(["a", "-", "中", "a,b", "say \"hi\"", "two\nlines", "--", " ", ";", "é\\"]))
        case .bool: return Value(text: pick(["true", "false", "-", "1", "yes"]))
        case .timestamp:
            if random.next() % 2 == 0 { return Value(text: pick(numbers), isNumber: random.next() % 2 == 0) }
            return Value(
                text: pick([
                    "2011-01-05 10:15:00", "2011-01-05T10:15:00Z", "2011-01-05", "2011-02-30", "now",
                    "20110105",
                ]))
        default: return Value(text: pick(numbers + ["x"]), isNumber: false)
        }
    }

    private func object(_ row: [Value], _ columns: [WireColumn]) -> String {
        let members = zip(row, columns).map { value, column -> String in
            let json = value.text.map { value.isNumber ? $0 : quoted($0) } ?? "null"
            return column.path.count == 2
                ? "\"\(column.path[0])\":{\"\(column.path[1])\":\(json)}" : "\"\(column.path[0])\":\(json)"
        }
        return "{\(members.joined(separator: ","))}"
    }

    private func quoted(_ text: String) -> String {
        var json = JsonWriter()
        json.text(text)
        return json.string
    }

    private func record(_ row: [Value], _ dialect: CsvFormat, _ random: inout SplitMix64) -> String {
        row.map { $0.text.map { CsvDialectTests.field($0, dialect, &random) } ?? "" }.joined(
            separator: String(UnicodeScalar(dialect.delimiter)))
    }
}
