import Base
import Dataflow
import Records

/// The rows that an envelope holds, each with what the envelope says of it under names that begin with `_`. A
/// record that is no such envelope becomes one that is refused.
final class EnvelopeShaper: RecordShaper {
    private let kind: EnvelopeKind
    /// Rows of other tables are passed over; empty: none are.
    private let tables: [[UInt8]]

    /// A change cannot be read in the place of its envelope.
    let rowsAreRecords = false
    /// A tombstone follows a change that has said that the row is gone.
    var skipsTombstones: Bool { kind.isChange }

    init(_ kind: EnvelopeKind, tables: [String]) {
        self.kind = kind
        self.tables = tables.map { Array($0.utf8) }
    }

    func shape(_ record: UnsafeBufferPointer<UInt8>, into rows: ShapedRows) {
        guard let start = record.baseAddress else { return rows.keep(0) }
        let scan = JsonScan(start, record.count)
        let isWhole =
            switch kind {
            case .debezium: debezium(scan, rows)
            case .canal: canal(scan, rows)
            case .maxwell: maxwell(scan, rows)
            case .connect: connect(scan, rows)
            case .cloudevents: cloudEvent(scan, rows)
            }
        // No JSON: it is refused, with the record beside it.
        if !isWhole { rows.reject() }
    }

    // MARK: Kinds

    private func debezium(_ scan: JsonScan, _ rows: ShapedRows) -> Bool {
        // With its schema the change is in `payload`.
        let start = scan.start
        let at = member("payload", of: start, scan)?.lowerBound ?? start
        guard isObject(at, scan), let operation = member("op", of: at, scan), let op = letter(operation, scan)
        else { return false }
        let source = member("source", of: at, scan)
        let table = source.flatMap {
            isObject($0.lowerBound, scan) ? member("table", of: $0.lowerBound, scan) : nil
        }
        guard isWanted(table, scan) else { return true }
        let (before, after) = (member("before", of: at, scan), member("after", of: at, scan))
        let isDeleted = op == UInt8(ascii: "d")
        // What empties a table and what a connector tells of itself are no rows.
        if op == UInt8(ascii: "t") || op == UInt8(ascii: "m") { return true }
        guard let row = isDeleted ? before : after, isObject(row.lowerBound, scan) else { return false }
        let time = source.flatMap {
            isObject($0.lowerBound, scan) ? member("ts_ms", of: $0.lowerBound, scan) : nil
        }
        let own = member("ts_ms", of: at, scan)
        let isSnapshotTime = time.map { $0.count == 1 && scan.bytes[$0.lowerBound] == 0x30 } ?? true
        put(row, op, isDeleted, isSnapshotTime ? own : time, "", table, before, scan, rows)
        return true
    }

    private func canal(_ scan: JsonScan, _ rows: ShapedRows) -> Bool {
        let start = scan.start
        guard isObject(start, scan), let type = member("type", of: start, scan) else { return false }
        let table = member("table", of: start, scan)
        guard isWanted(table, scan) else { return true }
        guard let op = operation(type, scan) else {
            // A change of the table itself is no row.
            return member("isDdl", of: start, scan) != nil
        }
        guard let data = member("data", of: start, scan) else { return false }
        var old: [Range<Int>] = []
        if let before = member("old", of: start, scan), scan.bytes[before.lowerBound] == 0x5B {
            _ = scan.forEachElement(before.lowerBound) { element in
                old.append(element)
                return true
            }
        }
        let time = member("es", of: start, scan) ?? member("ts", of: start, scan)
        var index = 0
        var isGood = true
        let isWhole = scan.forEachElement(data.lowerBound) { row in
            isGood = isObject(row.lowerBound, scan)
            guard isGood else { return false }
            put(
                row, op, op == UInt8(ascii: "d"), time, "", table, index < old.count ? old[index] : nil, scan,
                rows)
            index += 1
            isGood = rows.bytesOfRecord <= Limits.explodedBytesMax
            return isGood
        }
        return isWhole && isGood
    }

    private func maxwell(_ scan: JsonScan, _ rows: ShapedRows) -> Bool {
        let start = scan.start
        guard isObject(start, scan), let type = member("type", of: start, scan) else { return false }
        let table = member("table", of: start, scan)
        guard isWanted(table, scan) else { return true }
        guard let op = operation(type, scan) else {
            // Begin and end of a snapshot, and changes of the table itself.
            return member("data", of: start, scan).map { scan.bytes[$0.lowerBound] == 0x7B && $0.count <= 2 }
                ?? true
        }
        guard let row = member("data", of: start, scan), isObject(row.lowerBound, scan) else { return false }
        // Its times are seconds.
        put(
            row, op, op == UInt8(ascii: "d"), member("ts", of: start, scan), "000", table,
            member("old", of: start, scan), scan, rows)
        return true
    }

    private func connect(_ scan: JsonScan, _ rows: ShapedRows) -> Bool {
        let start = scan.start
        guard isObject(start, scan) else { return false }
        guard let payload = member("payload", of: start, scan), member("schema", of: start, scan) != nil
        else {
            add(start..<scan.count, [], scan, rows)
            return true
        }
        guard isObject(payload.lowerBound, scan) else { return false }
        add(payload, [], scan, rows)
        return true
    }

    private func cloudEvent(_ scan: JsonScan, _ rows: ShapedRows) -> Bool {
        let start = scan.start
        guard isObject(start, scan), member("specversion", of: start, scan) != nil,
            let data = member("data", of: start, scan),
            isObject(data.lowerBound, scan)
        else { return false }
        let parts = ["id", "source", "type", "time", "subject"].compactMap { name in
            member(name, of: start, scan).map { Part(name: "_\(name)", value: $0) }
        }
        add(data, parts, scan, rows)
        return true
    }

    // MARK: Rows

    private struct Part {
        var name: String
        var value: Range<Int>?
        var text = ""
        var suffix = ""
    }

    private func put(
        _ row: Range<Int>, _ op: UInt8, _ isDeleted: Bool, _ time: Range<Int>?, _ timeSuffix: String,
        _ table: Range<Int>?,
        _ before: Range<Int>?, _ scan: JsonScan, _ rows: ShapedRows
    ) {
        var parts = [Part(name: "_op", text: "\"\(Character(UnicodeScalar(op)))\"")]
        if let time { parts.append(Part(name: "_ts", value: time, suffix: timeSuffix)) }
        if let table { parts.append(Part(name: "_table", value: table)) }
        if let before { parts.append(Part(name: "_before", value: before)) }
        parts.append(Part(name: TableMark.deleted, text: isDeleted ? "true" : "false"))
        add(row, parts, scan, rows)
    }

    /// A row of the members of an object, and of what is known beside it, which stands last and so counts.
    private func add(_ object: Range<Int>, _ parts: [Part], _ scan: JsonScan, _ rows: ShapedRows) {
        let text = rows.bytes
        let offset = text.count
        let end = scan.endOfValue(object.lowerBound) ?? object.upperBound
        // All but the closing bracket.
        _ = text.append(scan.bytes + object.lowerBound, max(0, end - object.lowerBound - 1))
        var needsComma = scan.skipBlanks(object.lowerBound + 1) < end - 1
        for part in parts {
            text.appendText(needsComma ? ",\"" : "\"")
            needsComma = true
            text.appendText(part.name)
            text.appendText("\":")
            if let value = part.value { _ = text.append(scan.bytes + value.lowerBound, value.count) }
            text.appendText(part.text)
            text.appendText(part.suffix)
        }
        text.appendText("}")
        rows.add(from: offset)
    }

    // MARK: Members

    private func member(_ name: String, of at: Int, _ scan: JsonScan) -> Range<Int>? {
        let value = scan.value(at: [Array(name.utf8)], from: at)
        // What is null is not there.
        return value.flatMap { $0.count == 4 && scan.bytes[$0.lowerBound] == 0x6E ? nil : $0 }
    }

    private func isObject(_ at: Int, _ scan: JsonScan) -> Bool {
        at < scan.count && scan.bytes[at] == 0x7B && scan.endOfValue(at) != nil
    }

    private func isWanted(_ table: Range<Int>?, _ scan: JsonScan) -> Bool {
        if tables.isEmpty { return true }
        guard let table, table.count >= 2 else { return false }
        return tables.contains { scan.isName(table.lowerBound + 1..<table.upperBound - 1, $0) }
    }

    /// `"c"`
    private func letter(_ value: Range<Int>, _ scan: JsonScan) -> UInt8? {
        guard value.count == 3, scan.bytes[value.lowerBound] == 0x22 else { return nil }
        let letter = scan.bytes[value.lowerBound + 1]
        return "crudtm".utf8.contains(letter) ? letter : nil
    }

    /// `INSERT`, `bootstrap-insert` and so on as Debezium's letters.
    private func operation(_ value: Range<Int>, _ scan: JsonScan) -> UInt8? {
        let word = String(
            decoding: UnsafeBufferPointer(start: scan.bytes + value.lowerBound, count: value.count),
            as: UTF8.self)
        return switch word.lowercased() {
        case "\"insert\"": UInt8(ascii: "c")
        case "\"update\"": UInt8(ascii: "u")
        case "\"delete\"": UInt8(ascii: "d")
        case "\"bootstrap-insert\"": UInt8(ascii: "r")
        default: nil
        }
    }
}
