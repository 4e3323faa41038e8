import Base
import Dataflow
import Records
import State
import Topology

/// Time-zone tables by IANA name, read once before the first record.
package struct ZoneTables {
    package var tables: [String: TimeZoneTable]
    package init(_ tables: [String: TimeZoneTable]) { self.tables = tables }

    subscript(_ name: String) -> TimeZoneTable {
        guard let table = tables[name] else { unreachable("time zone \(name) was not read") }
        return table
    }
}

/// A step compiled for one lane: where its rows and columns come from, and what it computes.
final class StepPlan {
    let spec: StepSpec
    let index: Int
    /// The source that its records come from in the end.
    let source: Int
    /// The columns of `spec.schema`.
    let columns: [Column]
    /// Writes `columns`.
    let encoder: any RowEncoder
    let join: TableJoinPlan?
    let condition: Program?
    let derived: [(program: Program, field: DerivedField)]
    /// Rows that reached this step, in the current sub-batch.
    let selection: SelectionBuffer
    let key: KeyPlan?
    var window: WindowPlan?
    /// The source that what it makes is read as, its closed windows or its operator's rows; nil: nobody reads
    /// that.
    var stream: Int?
    /// True if an operator takes its rows by their key.
    var isIntake = false

    init(
        _ spec: StepSpec,
        index: Int,
        source: Int,
        join: TableJoinPlan?,
        inputColumns: [Column],
        capacity: Int,
        zones: ZoneTables,
        keyPlan: ([Column]) -> KeyPlan
    ) {
        self.spec = spec
        self.index = index
        self.source = source
        self.join = join
        encoder = RowLayout(spec.schema.fields).encoder
        condition = spec.condition.map { Program($0, capacity: capacity, zones: zones) }
        var columns = inputColumns
        var derived: [(Program, DerivedField)] = []
        for field in spec.derived {
            let program = Program(field.expression, capacity: capacity, zones: zones)
            derived.append((program, field))
            columns.append(program.resultColumn(columns))
        }
        self.columns = columns
        self.derived = derived
        selection = SelectionBuffer(capacity: capacity)
        key = spec.key.isEmpty ? nil : keyPlan(spec.key.map { columns[$0] })
    }

    /// The name that the author gave the step; the parts that it is cut into have more behind it.
    var authorName: String { String(spec.name.prefix { $0 != "/" }) }
}

/// How the rows of one or more steps get their keys: the same key columns are looked up once.
final class KeyPlan {
    let columns: [Column]
    /// Which of a task's key tables: steps whose keys have the same names share one.
    let group: Int
    /// The encoded key of each row, in the batch's arena.
    let encoded: Column
    let ids: UnsafeMutablePointer<UInt32>
    /// Steps that use it.
    var steps: [Int] = []

    init(_ columns: [Column], group: Int, capacity: Int) {
        self.columns = columns
        self.group = group
        encoded = Column(.text, capacity: capacity)
        ids = .allocate(capacity: capacity)
        ids.initialize(repeating: 0, count: capacity)
    }

    deinit { ids.deallocate() }

    /// A single text is its own key; anything else is its fields one after the other, 8 bytes for a number,
    /// a count in 4 bytes and the bytes for a text. Rows whose key has a null field get no key and 0 in
    /// `valid`.
    func encode(_ rows: Selection, arena: Arena) {
        if columns.count == 1, columns[0].type == .text {
            for index in 0..<rows.count {
                let row = rows[index]
                encoded.values[row] = columns[0].values[row]
                encoded.valid[row] = columns[0].valid[row] & 1
            }
            return
        }
        for index in 0..<rows.count {
            let row = rows[index]
            let start = arena.count
            encoded.valid[row] = 1
            for column in columns {
                guard column.valid[row] == 1 else {
                    encoded.valid[row] = 0
                    break
                }
                KeyCoding.append(column.values[row], column.type, to: arena)
            }
            encoded.values[row] = TextReference(offset: start, count: arena.count - start).packed
        }
    }
}

enum KeyCoding {
    static func append(_ value: Int64, _ type: ValueType, to arena: Arena) {
        if type == .text {
            let text = TextReference(packed: value)
            appendBytes(of: UInt32(text.count).littleEndian, to: arena)
            arena.reserve(text.count)
            _ = arena.append(arena.base + text.offset, text.count)
        } else {
            appendBytes(of: value.littleEndian, to: arena)
        }
    }

    private static func appendBytes<T>(of value: T, to arena: Arena) {
        withUnsafeBytes(of: value) { raw in
            for byte in raw {
                arena.reserve(1)
                arena.base[arena.count] = byte
                arena.count += 1
            }
        }
    }

    /// Appends what stands for an encoded key where keys are compared by their bytes: in the order of its
    /// fields, numbers by size, texts by their bytes.
    static func appendOrdered(_ key: UnsafeBufferPointer<UInt8>, _ columns: [Column], to arena: Arena) {
        guard var at = key.baseAddress.map({ UnsafeRawPointer($0) }) else { return }
        for column in columns {
            guard column.type == .text else {
                let value = Int64(littleEndian: at.loadUnaligned(as: Int64.self))
                appendBytes(of: (UInt64(bitPattern: value) ^ 1 << 63).bigEndian, to: arena)
                at += 8
                continue
            }
            let count = Int(UInt32(littleEndian: at.loadUnaligned(as: UInt32.self)))
            at += 4
            arena.reserve(2 * count + 2)
            for place in 0..<count {
                let byte = at.load(fromByteOffset: place, as: UInt8.self)
                arena.appendByte(byte)
                if byte == 0 { arena.appendByte(1) }
            }
            appendBytes(of: UInt16(0), to: arena)
            at += count
        }
    }

    /// Writes the fields of an encoded key to `columns` at `row`; texts are copied to `arena`.
    static func decode(_ key: UnsafeBufferPointer<UInt8>, into columns: [Column], row: Int, arena: Arena) {
        guard let start = key.baseAddress else {
            // The empty text is a key like any other.
            columns[0].values[row] = TextReference(offset: arena.count, count: 0).packed
            columns[0].valid[row] = 1
            return
        }
        if columns.count == 1, columns[0].type == .text {
            columns[0].values[row] = arena.append(start, key.count).packed
            columns[0].valid[row] = 1
            return
        }
        var at = UnsafeRawPointer(start)
        for column in columns {
            column.valid[row] = 1
            if column.type == .text {
                let count = Int(UInt32(littleEndian: at.loadUnaligned(as: UInt32.self)))
                at += 4
                column.values[row] = arena.append(at.assumingMemoryBound(to: UInt8.self), count).packed
                at += count
            } else {
                column.values[row] = Int64(littleEndian: at.loadUnaligned(as: Int64.self))
                at += 8
            }
        }
    }
}

/// The window of a step, compiled for one lane; the windows themselves belong to the tasks.
final class WindowPlan {
    let options: WindowOptions
    let arguments: [Program?]
    let conditions: [Program?]
    /// Their values for the rows of a stretch.
    private(set) var argumentColumns: [Column?]
    private(set) var conditionColumns: [Column?]
    /// The values of the aggregates in each row's current window; columns of `outputs`' scope.
    let aggregateColumns: [Column]
    /// Position in the store's aggregates of each of the step's calls.
    let storeIndices: [Int]
    /// Calls whose argument or condition may not fit in 64 bits, with the names of the results that need
    /// them.
    let bounded: [(call: Int, name: String)]
    let outputs: [Program]
    let outputFields: [Field]
    /// The values of the outputs: results of `outputs` over `aggregateColumns`.
    let outputColumns: [Column]
    /// Steps of each source whose rows read this window without belonging to it.
    var readers: [Int: [Int]] = [:]
    var isRead = false
    /// True if every close of a window with records is read, not only those of windows that changed.
    var closesEach = false
    /// The anchor of each row's current window, for the alerts.
    let anchors: UnsafeMutablePointer<Int64>
    var metricsSinks: [MetricsPlan] = []
    var emissionSinks: [Int] = []
    /// What those sinks get, each way of writing it with the sinks that take it so.
    var results: [(row: ResultRow, sinks: [Int])] = []

    init(
        _ spec: StepSpec, source: SourceSpec, keepsClosed: Bool, keepsRunning: Bool, tracksChanges: Bool,
        mayLeap: Bool, aheadBytesMax: Int, capacity: Int, zones: ZoneTables
    ) {
        guard let window = spec.window else { unreachable("step \(spec.name) has no window") }
        anchors = .allocate(capacity: capacity)
        anchors.initialize(repeating: 0, count: capacity)
        let length: PaneClock.Length
        let span: Int
        var daysPerPane = 1
        switch window.length {
        case .milliseconds(let size, let slide):
            length = .milliseconds(slide)
            span = Int(size / slide)
        case .days(let size, let slide, let zone):
            length = .days(Int64(slide), zones[zone])
            span = size / slide
            daysPerPane = slide
        case .weeks(let size, let slide, let zone):
            (length, span) = (.weeks(Int64(slide), zones[zone]), size / slide)
        case .months(let size, let slide, let zone):
            (length, span) = (.months(Int64(slide), zones[zone]), size / slide)
        }
        var aggregates: [Aggregate] = []
        var indices: [Int] = []
        for call in spec.aggregates {
            if call.function == .count, call.argument == nil, call.condition == nil {
                indices.append(0)
            } else {
                aggregates.append(Aggregate(call, in: spec.schema, daysPerPane: daysPerPane))
                indices.append(aggregates.count)
            }
        }
        storeIndices = indices
        var options = WindowOptions(
            length: length,
            span: span,
            excludesCurrent: window.excludesCurrent,
            outOfOrder: source.outOfOrder,
            mayRunAhead: mayLeap || source.mayRunAhead,
            keepsClosed: keepsClosed,
            keepsRunning: keepsRunning,
            tracksChanges: tracksChanges,
            aggregates: aggregates
        )
        options.aheadBytesMax = aheadBytesMax
        self.options = options
        arguments = spec.aggregates.map { call in
            call.argument.map { Program($0, capacity: capacity, zones: zones) }
        }
        conditions = spec.aggregates.map { call in
            call.condition.map { Program($0, capacity: capacity, zones: zones) }
        }
        let programs = zip(arguments, conditions).map { [$0, $1].compactMap { $0 } }
        bounded = programs.enumerated().compactMap { call, programs in
            guard programs.contains(where: \.mayOverflow) else { return nil }
            return (call, DerivedField.names(of: spec.outputs, reading: call))
        }
        argumentColumns = Array(repeating: nil, count: arguments.count)
        conditionColumns = argumentColumns
        let columns = spec.aggregates.map { Column($0.type, capacity: capacity) }
        aggregateColumns = columns
        outputs = spec.outputs.map { Program($0.expression, capacity: capacity, zones: zones) }
        outputColumns = outputs.map { $0.resultColumn(columns) }
        outputFields = spec.outputs.map { Field(name: $0.name, type: $0.expression.type, isOptional: true) }
    }

    deinit { anchors.deallocate() }

    func makeStore() -> WindowStore { WindowStore(options) }

    /// Computes what the aggregates take in of `rows`.
    func runArguments(_ columns: [Column], arena: Arena, rows: Selection) {
        for call in arguments.indices {
            argumentColumns[call] = arguments[call]?.run(columns, arena: arena, rows: rows)
            conditionColumns[call] = conditions[call]?.run(columns, arena: arena, rows: rows)
        }
    }

    /// Computes the outputs from the aggregates for `rows`.
    func runOutputs(_ rows: Selection, arena: Arena) {
        for program in outputs where !program.isColumn {
            _ = program.run(aggregateColumns, arena: arena, rows: rows)
        }
    }

    /// Results of these rows that are null since a number in them does not fit.
    func overflowCount(_ rows: Selection) -> Int64 {
        var count: Int64 = 0
        for column in outputColumns {
            let valid = column.valid
            for index in rows.indices { count += valid[rows[index]] == 2 ? 1 : 0 }
        }
        return count
    }

    /// Fills rows 0..<count of the output columns for these keys.
    func gather(
        _ store: WindowStore,
        ids: UnsafePointer<UInt32>,
        count: Int,
        _ totals: WindowTotals.Kind,
        at time: Int64,
        rows: Selection,
        arena: Arena
    ) {
        let totals = store.totals(totals)
        for (call, index) in storeIndices.enumerated() {
            totals.gather(
                index,
                ids: ids,
                count: count,
                into: aggregateColumns[call],
                arena: arena,
                anchorOtherwise: store.anchor(at: time)
            )
        }
        runOutputs(rows, arena: arena)
    }
}

extension Aggregate {
    /// What the windows keep for a call of the language; `schema`: what it is about.
    init(_ call: AggregateCall, in schema: Schema, daysPerPane: Int) {
        let argument = call.argument?.type ?? .int
        let isCounted = call.isCounted(in: schema)
        switch call.function {
        case .count: self = .count
        case .sum: self = .sum(isCounted: isCounted)
        case .avg: self = .average(scale: call.type.scale, argumentScale: argument.scale)
        case .min where argument == .text: self = .leastText
        case .max where argument == .text: self = .greatestText
        case .min: self = .minimum(isCounted: isCounted)
        case .max: self = .maximum(isCounted: isCounted)
        case .first: self = argument == .text ? .firstText : .first
        case .last: self = argument == .text ? .lastText : .last
        case .distinct(let exact): self = .distinct(isText: argument == .text, exactMax: exact)
        case .stddev: self = .deviation(scale: call.type.scale, argumentScale: argument.scale)
        case .quantile(let perMille): self = .quantile(perMille: perMille)
        case .days: self = .days(perPane: daysPerPane)
        case .windowStart: self = .windowStart
        case .windowEnd: self = .windowEnd
        }
    }
}
