import Base
import Dataflow
import Formats
import Records
import State
import Topology

/// A table that lies elsewhere, compiled for one lane: what was found of it, for as long as that may be used.
final class LookupTable {
    private struct Entry {
        var offset = 0
        /// -1: there is no such row.
        var count: Int32 = -1
        /// Milliseconds; nothing is older.
        var fetchedAt = Int64.min
        /// It is among `asked`.
        var isAsked = false
    }

    private let spec: RedisTableSpec
    private let lookup: any TableLookup
    private let decoder: TextsDecoder
    /// Wire columns that are fields of the hash, in the order of the lookup's fields.
    private let fields: [Int]
    private var keys = KeyTable()
    private var entries: [Entry] = []
    private var rows = Arena(capacity: 1 << 12)
    private var garbage = 0
    private let ids: UnsafeMutablePointer<UInt32>
    private let valid: SelectionBuffer
    private let answers: SelectionBuffer
    private var asked: [UInt32] = []
    private var redisKeys: [TextReference] = []
    private let redisKeyBytes = Arena(capacity: 1 << 12)
    private var answered: [UInt32] = []
    /// Keys that were asked for, and those of them without an answer.
    private(set) var askedCount: Int64 = 0
    private(set) var unansweredCount: Int64 = 0

    init(
        _ spec: RedisTableSpec, _ source: SourceSpec, _ lookup: any TableLookup, _ decoder: TextsDecoder,
        capacity: Int
    ) {
        self.spec = spec
        self.lookup = lookup
        self.decoder = decoder
        fields = source.hashFields
        ids = .allocate(capacity: capacity)
        ids.initialize(repeating: 0, count: capacity)
        valid = SelectionBuffer(capacity: capacity)
        answers = SelectionBuffer(capacity: capacity)
    }

    deinit { ids.deallocate() }

    var memoryBytes: Int { keys.memoryBytes + entries.capacity * MemoryLayout<Entry>.stride + rows.capacity }

    var rowBytes: UnsafePointer<UInt8> { UnsafePointer(rows.base) }

    /// Writes to `places[row]` where the row of each key stands, -1: there is none, or it is not known. Valid
    /// until the next call. `plan`, whose batch is free, and `table` are those of the source.
    func find(
        _ column: Column, in arena: Arena, rows input: Selection, now: Int64,
        places: UnsafeMutablePointer<Int>,
        _ plan: SourcePlan, _ table: TablePlan
    ) {
        if keys.count > Limits.redisRowsRemembered { forgetAll() }
        var count = 0
        for index in 0..<input.count {
            let row = input[index]
            places[row] = -1
            guard column.valid[row] == 1 else { continue }
            valid.rows[count] = Int32(truncatingIfNeeded: row)
            count += 1
        }
        valid.count = count
        let known = valid.selection
        keys.intern(column.values, in: arena, rows: known, ids: ids)
        while entries.count < keys.idLimit { entries.append(Entry()) }
        for index in 0..<known.count {
            let id = ids[known[index]]
            if isFresh(entries[Int(id)], now) || entries[Int(id)].isAsked { continue }
            entries[Int(id)].isAsked = true
            asked.append(id)
        }
        if !asked.isEmpty { ask(now, plan, table) }
        for index in 0..<known.count {
            let row = known[index]
            let entry = entries[Int(ids[row])]
            if entry.count >= 0, isFresh(entry, now) { places[row] = entry.offset }
        }
    }

    @inline(__always)
    private func isFresh(_ entry: Entry, _ now: Int64) -> Bool {
        entry.fetchedAt != .min && now - entry.fetchedAt < spec.stale
    }

    private func forgetAll() {
        keys = KeyTable()
        entries.removeAll(keepingCapacity: true)
        rows.removeAll()
        garbage = 0
    }

    private func ask(_ now: Int64, _ plan: SourcePlan, _ table: TablePlan) {
        redisKeyBytes.removeAll()
        redisKeys.removeAll(keepingCapacity: true)
        let schema = plan.spec.schema
        let columns = table.key.columns
        for id in asked {
            entries[Int(id)].isAsked = false
            plan.batch.arena.removeAll()
            KeyCoding.decode(keys.key(of: id), into: columns, row: 0, arena: plan.batch.arena)
            let start = redisKeyBytes.count
            for part in spec.key {
                switch part {
                case .text(let text): _ = redisKeyBytes.append(text)
                case .field(let name):
                    guard let place = table.spec.key.firstIndex(where: { schema.fields[$0].name == name })
                    else { continue }
                    _ = redisKeyBytes.append(
                        ValueText.string(
                            columns[place].values[0], columns[place].type, arena: plan.batch.arena))
                }
            }
            redisKeys.append(TextReference(offset: start, count: redisKeyBytes.count - start))
        }
        answered.removeAll(keepingCapacity: true)
        decoder.removeAll()
        _ = lookup.fetch(redisKeys, in: redisKeyBytes) { index, texts in
            let id = asked[index]
            garbage += Int(max(0, entries[Int(id)].count))
            entries[Int(id)].count = -1
            entries[Int(id)].fetchedAt = now
            guard texts.contains(where: { $0 != nil }) else { return }
            for (place, text) in texts.enumerated() {
                if let text { decoder.set(answered.count, fields[place], text) }
            }
            answered.append(id)
        }
        askedCount += Int64(asked.count)
        for id in asked where entries[Int(id)].fetchedAt != now { unansweredCount += 1 }
        asked.removeAll(keepingCapacity: true)
        if !answered.isEmpty { keep(plan, table) }
    }

    /// Puts the answers' texts into rows.
    private func keep(_ plan: SourcePlan, _ table: TablePlan) {
        let batch = plan.batch
        if rows.count > 1 << 16, garbage > rows.count / 2 { compact() }
        decoder.decode(answered.count, into: batch)
        for (row, id) in answered.enumerated() {
            KeyCoding.decode(keys.key(of: id), into: table.key.columns, row: row, arena: batch.arena)
            answers.rows[row] = Int32(row)
        }
        answers.count = answered.count
        for (program, _) in plan.derived {
            _ = program.run(plan.columns, arena: batch.arena, rows: answers.selection)
        }
        for (row, id) in answered.enumerated() {
            let bytes = table.row.encode(table.values, row, batch.arena)
            guard let start = bytes.baseAddress else { continue }
            // Not that of a text, which has 32 bits.
            entries[Int(id)].offset = rows.count
            _ = rows.append(start, bytes.count)
            entries[Int(id)].count = Int32(bytes.count)
        }
    }

    private func compact() {
        let packed = Arena(capacity: max(64, rows.count - garbage))
        for id in entries.indices where entries[id].count > 0 {
            let offset = packed.count
            _ = packed.append(rows.base + entries[id].offset, Int(entries[id].count))
            entries[id].offset = offset
        }
        rows = packed
        garbage = 0
    }
}
