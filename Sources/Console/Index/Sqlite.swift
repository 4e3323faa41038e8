import Base
import CSqlite
import Records

enum SqlValue {
    case null
    case int(Int64)
    case text(String)

    static func optional(_ text: String?) -> SqlValue { text.map { .text($0) } ?? .null }
    static func optional(_ value: Int64?) -> SqlValue { value.map { .int($0) } ?? .null }
}

/// One connection to a database file; for one thread at a time.
final class Sqlite {
    /// A row of a result, while it is read.
    struct Row {
        fileprivate var statement: OpaquePointer

        func int(_ column: Int32) -> Int64 { sqlite3_column_int64(statement, column) }
        func optionalInt(_ column: Int32) -> Int64? { isNull(column) ? nil : int(column) }
        func optionalDouble(_ column: Int32) -> Double? {
            isNull(column) ? nil : sqlite3_column_double(statement, column)
        }
        func text(_ column: Int32) -> String {
            sqlite3_column_text(statement, column).map { String(cString: $0) } ?? ""
        }
        func optionalText(_ column: Int32) -> String? { isNull(column) ? nil : text(column) }
        private func isNull(_ column: Int32) -> Bool { sqlite3_column_type(statement, column) == SQLITE_NULL }
    }

    private let handle: OpaquePointer
    private var statements: [String: OpaquePointer] = [:]

    init(_ path: String) throws(Fault) {
        var handle: OpaquePointer?
        let code = sqlite3_open_v2(
            path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nil)
        guard code == SQLITE_OK, let handle else {
            let reason = handle.map { String(cString: sqlite3_errmsg($0)) } ?? "no memory"
            sqlite3_close_v2(handle)
            throw Fault(.external, "\(path): \(reason)")
        }
        self.handle = handle
        sqlite3_busy_timeout(handle, 10_000)
        sqlite3_create_function_v2(
            handle, "milliseconds", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, nil,
            { context, _, values in
                guard let value = values?[0], let bytes = sqlite3_value_text(value),
                    let parsed = CivilTime.parse(bytes, Int(sqlite3_value_bytes(value)))
                else { return sqlite3_result_null(context) }
                sqlite3_result_int64(context, parsed.milliseconds)
            }, nil, nil, nil)
    }

    deinit {
        for statement in statements.values { sqlite3_finalize(statement) }
        sqlite3_close_v2(handle)
    }

    func script(_ sql: String) throws(Fault) {
        guard sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else { throw fault() }
    }

    /// Runs a statement, which is kept for the next time; returns how many rows it changed.
    @discardableResult
    func run(_ sql: String, _ values: [SqlValue] = [], _ body: (Row) -> Void = { _ in }) throws(Fault) -> Int
    {
        let statement = try prepared(sql)
        defer {
            sqlite3_reset(statement)
            sqlite3_clear_bindings(statement)
        }
        for (index, value) in values.enumerated() {
            let place = Int32(index + 1)
            switch value {
            case .null: sqlite3_bind_null(statement, place)
            case .int(let value): sqlite3_bind_int64(statement, place, value)
            case .text(let value): _ = mr_sqlite_bind_text(statement, place, value, Int32(value.utf8.count))
            }
        }
        while true {
            switch sqlite3_step(statement) {
            case SQLITE_ROW: body(Row(statement: statement))
            case SQLITE_DONE: return Int(sqlite3_changes(handle))
            default: throw fault()
            }
        }
    }

    /// A statement whose first value is text as bytes, others numbers and texts: what is run once a record.
    func run(_ sql: String, _ bytes: UnsafeBufferPointer<UInt8>, _ values: [SqlValue]) throws(Fault) -> Int {
        let statement = try prepared(sql)
        defer {
            sqlite3_reset(statement)
            sqlite3_clear_bindings(statement)
        }
        _ = bytes.withMemoryRebound(to: CChar.self) {
            mr_sqlite_bind_text(statement, 1, $0.baseAddress, Int32($0.count))
        }
        for (index, value) in values.enumerated() {
            let place = Int32(index + 2)
            switch value {
            case .null: sqlite3_bind_null(statement, place)
            case .int(let value): sqlite3_bind_int64(statement, place, value)
            case .text(let value): _ = mr_sqlite_bind_text(statement, place, value, Int32(value.utf8.count))
            }
        }
        guard sqlite3_step(statement) == SQLITE_DONE else { throw fault() }
        return Int(sqlite3_changes(handle))
    }

    private func prepared(_ sql: String) throws(Fault) -> OpaquePointer {
        if let known = statements[sql] { return known }
        // Filters make many; what is not kept is made again.
        if statements.count >= 200 {
            for statement in statements.values { sqlite3_finalize(statement) }
            statements = [:]
        }
        var statement: OpaquePointer?
        guard sqlite3_prepare_v2(handle, sql, -1, &statement, nil) == SQLITE_OK, let statement else {
            throw fault()
        }
        statements[sql] = statement
        return statement
    }

    private func fault() -> Fault { Fault(.external, "index: \(String(cString: sqlite3_errmsg(handle)))") }
}
