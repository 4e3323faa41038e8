import Base
import Dataflow
import Records

/// Messages of one type of Protocol Buffers to columns.
package final class ProtobufDecoder: RecordDecoder {
    private let columns: [WireColumn]
    private let program: ProtobufProgram
    private let target: BinaryColumns
    private let isFramed: Bool
    /// Columns that must have a value and are not typed from tokens, which see to that by themselves.
    private let required: [Int]
    private let capacity: Int

    init(_ columns: [WireColumn], _ program: ProtobufProgram, isFramed: Bool, capacity: Int) {
        self.columns = columns
        self.program = program
        self.isFramed = isFramed
        self.capacity = capacity
        target = BinaryColumns(columns, capacity: capacity)
        required = columns.indices.filter {
            !columns[$0].field.isOptional && !program.tokenColumns.contains($0)
        }
    }

    package func decode(_ raw: RawRecords, into batch: Batch) {
        require(raw.count <= capacity && raw.count <= batch.capacity, "more records than a batch holds")
        batch.arena.removeAll()
        batch.count = raw.count
        target.point(at: batch)
        target.reserve(slots: raw.count * program.slotCount)
        var machine = ProtobufMachine(program, target)
        for row in 0..<raw.count {
            batch.status[row] = RowStatus.good.rawValue
            batch.statusField[row] = -1
            let count = Int(raw.valueCounts[row])
            guard let value = raw.values[row], count >= 0 else {
                batch.status[row] = RowStatus.nullValue.rawValue
                continue
            }
            guard count <= Limits.recordBytesMax else {
                batch.status[row] = RowStatus.oversized.rawValue
                continue
            }
            let frame = isFramed ? frame(value, count) : 0
            guard frame >= 0, machine.run(value + frame, count - frame, row: row, place: row) else {
                batch.status[row] = RowStatus.malformed.rawValue
                batch.statusField[row] = -1
                continue
            }
            for column in required where batch.columns[column].valid[row] == 0 {
                target.fail(.missingField, row, column)
            }
        }
        target.read(program.tokenColumns, rows: 0..<raw.count, into: batch)
    }

    /// Bytes before the message: a zero byte, the schema's id and the message's place in it, as so many
    /// numbers, or a zero for the first one. -1: it is another message, or there is no frame.
    private func frame(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Int {
        guard ConfluentFrame.id(bytes, count) != nil else { return -1 }
        var at = ConfluentFrame.bytes
        func number() -> Int? {
            var value: UInt64 = 0
            for shift in 0..<5 {
                guard at < count else { return nil }
                let byte = bytes[at]
                at += 1
                value |= UInt64(byte & 0x7F) << UInt64(7 * shift)
                if byte < 0x80 { return Int(value >> 1) ^ -Int(value & 1) }
            }
            return nil
        }
        guard let depth = number() else { return -1 }
        if depth == 0 { return program.place == [0] ? at : -1 }
        guard depth == program.place.count else { return -1 }
        for place in program.place { guard number() == place else { return -1 } }
        return at
    }

    // MARK: Dead letters

    package func explain(_ row: Int, of batch: Batch, into text: Arena) {
        let status = RowStatus(rawValue: batch.status[row]) ?? .malformed
        let column = Int(batch.statusField[row])
        let count = Int(max(0, batch.raw.valueCounts[row]))
        guard let value = batch.raw.values[row], status != .oversized else {
            return generic(row, batch, text)
        }
        let frame = isFramed ? frame(value, count) : 0
        guard frame >= 0 else {
            text.appendText(
                "the record does not begin with a zero byte, the id of a schema and the place of \(program.shown) in it, \(program.place): "
            )
            return appendExcerpt(value, count, to: text)
        }
        target.point(at: batch)
        target.reserve(slots: program.slotCount)
        var machine = ProtobufMachine(program, target)
        let isMessage = machine.run(value + frame, count - frame, row: row, place: 0)
        if status == .malformed {
            if isMessage, columns.indices.contains(column) {
                return text.appendText("field '\(columns[column].name)' is not UTF-8")
            }
            return text.appendText(
                "no \(program.shown): at byte \(value.distance(to: machine.at)) of \(count) nothing of one can be read"
            )
        }
        if let problem = program.problems.first(where: { $0.column == column }) {
            return text.appendText("field '\(columns[column].name)': \(problem.text)")
        }
        guard columns.indices.contains(column), status == .outOfRange || status == .wrongType,
            !program.tokenColumns.contains(column) || status == .wrongType
        else { return generic(row, batch, text) }
        let isOther = target.tokens[row * target.width + column].kind == Token.Kind.missing.rawValue
        guard !program.tokenColumns.contains(column) || isOther else { return generic(row, batch, text) }
        let what =
            status == .outOfRange ? "does not fit" : "is written as another type, or is no name of its enum"
        text.appendText(
            "field '\(columns[column].name)' \(what); \(Explanation.expectation(of: columns[column])) was expected"
        )
    }

    private func generic(_ row: Int, _ batch: Batch, _ text: Arena) {
        Explanation(
            batch: batch, row: row, readers: target.readers, notation: program.shown, encoding: nil,
            text: text
        ).write(
            token: { self.target.tokens[row * self.target.width + $0] }, appendWhy: { _ in },
            appendMissing: { _ in })
    }
}
