import Base
import Dataflow
import Records

/// Rows of a JSON record: texts that are JSON are put in as such, then each array of `explode` makes a row
/// for each of its elements, in which the element stands in the array's place.
final class JsonShaper: RecordShaper {
    private let texts: [[[UInt8]]]
    private let arrays: [[[UInt8]]]
    /// What a record is after its first steps, one for each step but the last.
    private let stages: [Arena]

    let rowsAreRecords = true
    let skipsTombstones = false

    init(texts: [[String]], arrays: [[String]]) {
        self.texts = texts.map { $0.map { Array($0.utf8) } }
        self.arrays = arrays.map { $0.map { Array($0.utf8) } }
        stages = (texts + arrays).map { _ in Arena(capacity: 1 << 10) }
    }

    func shape(_ record: UnsafeBufferPointer<UInt8>, into rows: ShapedRows) {
        guard let start = record.baseAddress else { return rows.keep(record.count) }
        var bytes = start
        var count = record.count
        var isChanged = false
        for (index, path) in texts.enumerated() {
            guard let changed = parsed(bytes, count, path, stages[index]) else { continue }
            (bytes, count, isChanged) = (changed.bytes, changed.count, true)
        }
        guard !arrays.isEmpty else { return isChanged ? append(bytes, count, rows) : rows.keep(record.count) }
        guard explode(bytes, count, 0, rows) else { return rows.keep(record.count) }
        if rows.bytesOfRecord > Limits.explodedBytesMax { rows.refuse(bytes: rows.bytesOfRecord) }
    }

    private func append(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ rows: ShapedRows) {
        let offset = rows.bytes.append(bytes, count).offset
        rows.add(from: offset)
    }

    /// The record with the text at a path as what it says; nil: there is no text.
    private func parsed(
        _ bytes: UnsafePointer<UInt8>, _ count: Int, _ path: [[UInt8]], _ stage: Arena
    ) -> (bytes: UnsafePointer<UInt8>, count: Int)? {
        let scan = JsonScan(bytes, count)
        guard let value = scan.value(at: path, from: scan.start), bytes[value.lowerBound] == 0x22 else {
            return nil
        }
        stage.removeAll()
        _ = stage.append(bytes, value.lowerBound)
        let content = stage.count
        guard scan.unescape(value.lowerBound + 1..<value.upperBound - 1, into: stage) else { return nil }
        if JsonScan(stage.base + content, stage.count - content).skipBlanks(0) == stage.count - content {
            // A text of nothing says nothing.
            stage.appendText("null")
        }
        _ = stage.append(bytes + value.upperBound, count - value.upperBound)
        return (UnsafePointer(stage.base), stage.count)
    }

    /// False: the record is cut off. A record without the array is one row.
    private func explode(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ level: Int, _ rows: ShapedRows)
        -> Bool
    {
        guard level < arrays.count else {
            append(bytes, count, rows)
            return true
        }
        let scan = JsonScan(bytes, count)
        let start = scan.start
        guard let array = scan.value(at: arrays[level], from: start), bytes[array.lowerBound] == 0x5B else {
            return scan.endOfValue(start) != nil && explode(bytes, count, level + 1, rows)
        }
        let tail = bytes + array.upperBound
        let tailCount = count - array.upperBound
        let isLast = level + 1 == arrays.count
        let stage = stages[texts.count + level]
        var isWhole = true
        let isArray = scan.forEachElement(array.lowerBound) { element in
            let target = isLast ? rows.bytes : stage
            if !isLast { stage.removeAll() }
            let offset = target.count
            target.reserve(array.lowerBound + element.count + tailCount)
            _ = target.append(bytes, array.lowerBound)
            _ = target.append(bytes + element.lowerBound, element.count)
            _ = target.append(tail, tailCount)
            if isLast {
                rows.add(from: offset)
            } else {
                isWhole = explode(UnsafePointer(stage.base), stage.count, level + 1, rows)
            }
            return isWhole && rows.bytesOfRecord <= Limits.explodedBytesMax
        }
        return isArray && isWhole
    }
}
