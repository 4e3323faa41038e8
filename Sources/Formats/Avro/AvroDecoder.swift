import Base
import Dataflow
import Records

/// Records of Avro to columns, each by the program of its writer's schema, which is compiled when it is first
/// seen. Nothing is allocated for a record.
package final class AvroDecoder: RecordDecoder {
    package enum Source {
        /// All records have the one schema; `isFramed`: an id stands before each, which says nothing.
        case fixed([[UInt8]], isFramed: Bool)
        /// Each says the id of its own. nil: there is nobody to ask.
        case registry((any WriterSchemas)?)
        /// Files say it (`setHeader`).
        case header
    }

    private let columns: [WireColumn]
    private let reader: AvroSchema?
    private let target: BinaryColumns
    private let capacity: Int
    private let schemas: (any WriterSchemas)?
    private let isFramed: Bool
    private let hasIds: Bool
    /// By id of the schema; the one of all records has `Self.only`.
    private var programs: [Int32: Entry] = [:]
    private static let only: Int32 = -1

    private enum Entry {
        case program(AvroProgram)
        case refused(String)
    }

    /// `reader`: what records of other schemas are resolved with.
    package init(
        _ columns: [WireColumn], _ source: Source, reader: AvroSchema?,
        capacity: Int = Limits.rowsPerBatchMax
    ) {
        self.columns = columns
        self.reader = reader
        self.capacity = capacity
        target = BinaryColumns(columns, capacity: capacity)
        switch source {
        case .fixed(let texts, let isFramed):
            (schemas, self.isFramed, hasIds) = (nil, isFramed, false)
            programs[Self.only] = entry(.texts(texts))
        case .registry(let schemas): (self.schemas, isFramed, hasIds) = (schemas, true, true)
        case .header:
            (schemas, isFramed, hasIds) = (nil, false, false)
            programs[Self.only] = .refused("nothing says which it is")
        }
    }

    /// The schema of the records of a file, which have no ids.
    package func setHeader(_ names: [String]) {
        programs[Self.only] = entry(.texts(names.map { Array($0.utf8) }))
        hasHeader = true
    }

    private var hasHeader = false
    private var readsIds: Bool { hasIds && !hasHeader }
    private var frame: Int { isFramed && !hasHeader ? ConfluentFrame.bytes : 0 }

    // MARK: Schemas

    private func entry(_ schema: WriterSchema) -> Entry {
        switch schema {
        case .refused(let why): return .refused(why)
        case .texts(let texts):
            do throws(Fault) {
                let writer = try AvroSchemaReader.read(texts)
                return .program(try AvroCompiler.compile(columns, writer: writer, reader: reader))
            } catch { return .refused(error.detail) }
        }
    }

    private func entry(_ id: Int32) -> Entry {
        if let known = programs[id] { return known }
        guard readsIds else { return .refused("nothing says which it is") }
        guard let schemas else { return .refused("no registry is asked in this run") }
        guard let schema = schemas.known(id) else { return .refused("the registry was not asked for it") }
        let made = entry(schema)
        // What is refused may be there the next time.
        if case .program = made {
            if programs.count >= Limits.schemaProgramsMax { programs.removeAll() }
            programs[id] = made
        }
        return made
    }

    package func prepare(_ raw: RawRecords) throws(Fault) {
        guard readsIds, let schemas else { return }
        var last: Int32?
        for row in 0..<raw.count {
            guard let value = raw.values[row], let id = ConfluentFrame.id(value, Int(raw.valueCounts[row])),
                id != last
            else { continue }
            last = id
            if programs[id] == nil { try schemas.fetch(id) }
        }
    }

    // MARK: Records

    package func decode(_ raw: RawRecords, into batch: Batch) {
        require(raw.count <= capacity && raw.count <= batch.capacity, "more records than a batch holds")
        batch.arena.removeAll()
        batch.count = raw.count
        target.point(at: batch)
        var row = 0
        while row < raw.count {
            let id = id(of: row, raw)
            switch entry(id) {
            case .program(let program): row = run(program, id, raw, from: row, batch)
            case .refused: row = refuse(id, raw, from: row, batch)
            }
        }
    }

    /// The schema of a record; one that has none goes with any.
    @inline(__always)
    private func id(of row: Int, _ raw: RawRecords) -> Int32 {
        guard readsIds, let value = raw.values[row] else { return Self.only }
        return ConfluentFrame.id(value, Int(raw.valueCounts[row])) ?? Self.only
    }

    /// Status of a record that is not looked into; nil: it is.
    @inline(__always)
    private func refusal(_ row: Int, _ raw: RawRecords) -> RowStatus? {
        let count = Int(raw.valueCounts[row])
        guard let value = raw.values[row], count >= 0 else { return .nullValue }
        if count > Limits.recordBytesMax { return .oversized }
        return frame > 0 && (count < frame || value[0] != 0) ? .malformed : nil
    }

    /// Decodes records of one schema, up to the first of another, and returns where that is.
    private func run(_ program: AvroProgram, _ id: Int32, _ raw: RawRecords, from first: Int, _ batch: Batch)
        -> Int
    {
        target.reserve(slots: (raw.count - first) * program.slotCount)
        var machine = AvroMachine(program, target)
        let (status, statusField) = (batch.status, batch.statusField)
        let (frame, readsIds) = (frame, readsIds)
        var row = first
        while row < raw.count {
            status[row] = RowStatus.good.rawValue
            statusField[row] = -1
            if let refusal = refusal(row, raw) {
                status[row] = refusal.rawValue
            } else if let value = raw.values[row] {
                if readsIds, ConfluentFrame.id(value, frame) != id { break }
                let isRecord = machine.run(
                    value + frame, Int(raw.valueCounts[row]) - frame, row: row, place: row - first)
                if !isRecord {
                    status[row] = RowStatus.malformed.rawValue
                    statusField[row] = -1
                }
            }
            row += 1
        }
        target.read(program.tokenColumns, rows: first..<row, into: batch)
        return row
    }

    private func refuse(_ id: Int32, _ raw: RawRecords, from first: Int, _ batch: Batch) -> Int {
        var row = first
        while row < raw.count, self.id(of: row, raw) == id {
            let isFile = !readsIds && frame == 0
            batch.status[row] =
                (refusal(row, raw) ?? (readsIds || isFile ? RowStatus.unknownSchema : .malformed)).rawValue
            batch.statusField[row] = -1
            row += 1
        }
        return row
    }

    // MARK: Dead letters

    package func explain(_ row: Int, of batch: Batch, into text: Arena) {
        let status = RowStatus(rawValue: batch.status[row]) ?? .malformed
        let column = Int(batch.statusField[row])
        let count = Int(max(0, batch.raw.valueCounts[row]))
        let id = id(of: row, batch.raw)
        let name = hasIds && !hasHeader ? "schema \(id)" : "the schema"
        if let value = batch.raw.values[row], status == .malformed || status == .unknownSchema,
            refusal(row, batch.raw) == .malformed
        {
            text.appendText("the record does not begin with a zero byte and the id of a schema: ")
            appendExcerpt(value, count, to: text)
            return text.appendText("; framing: none reads records without them, by schema_file")
        }
        guard let value = batch.raw.values[row], status != .oversized else {
            return generic(row, batch, text)
        }
        switch entry(id) {
        case .refused(let why): text.appendText("no record of \(name) can be read: \(why)")
        case .program(let program):
            target.point(at: batch)
            target.reserve(slots: program.slotCount)
            var machine = AvroMachine(program, target)
            let isRecord = machine.run(value + frame, count - frame, row: row, place: 0)
            if status == .malformed {
                return appendMalformed(program, machine, isRecord, column, value + frame, count - frame, text)
            }
            if let problem = program.problems.first(where: { $0.column == column }), status == .wrongType {
                return text.appendText("field '\(columns[column].name)': \(problem.text)")
            }
            guard columns.indices.contains(column), !program.tokenColumns.contains(column),
                status == .outOfRange
            else { return generic(row, batch, text) }
            let expectation = Explanation.expectation(of: columns[column])
            text.appendText("field '\(columns[column].name)' does not fit; \(expectation) was expected")
            if columns[column].field.type.isNumber, !columns[column].isRounded {
                text.appendText("; where it has more places, round: true rounds it")
            }
        }
    }

    private func generic(_ row: Int, _ batch: Batch, _ text: Arena) {
        Explanation(
            batch: batch, row: row, readers: target.readers, notation: "Avro record", encoding: nil,
            text: text
        ).write(
            token: { self.target.tokens[row * self.target.width + $0] }, appendWhy: { _ in },
            appendMissing: { _ in })
    }

    private func appendMalformed(
        _ program: AvroProgram, _ machine: AvroMachine, _ isRecord: Bool, _ column: Int,
        _ start: UnsafePointer<UInt8>, _ count: Int, _ text: Arena
    ) {
        if isRecord, columns.indices.contains(column) {
            return text.appendText("field '\(columns[column].name)' is not UTF-8")
        }
        let offset = start.distance(to: machine.at)
        text.appendText("no \(program.shown): ")
        if machine.failedAt < 0 {
            text.appendText("the record ends at byte \(offset), and \(count - offset) follow")
        } else {
            let place = program.places[machine.failedAt]
            text.appendText(
                "at byte \(offset) of \(count), \(place.isEmpty ? "" : "in '\(place)', ")there is no such value"
            )
        }
        text.appendText("; it was written by another schema, or it is damaged")
    }
}
