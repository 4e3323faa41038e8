import Base
import Outlets
import Records
import Topology

enum FlowCommand: Command {
    static let name = "flow"
    static let summary = "the rows of an account that an hbase sink has written, in time order"
    static let help = """
        usage: millrace flow ACCOUNT --topology FILE [OPTIONS]
               millrace flow ACCOUNT --hbase URL [OPTIONS]

        Reads back what an `hbase` sink has written: every row whose key begins with ACCOUNT, that is, whose first field has
        this value, over all salts. A line for each row: its event time, and its columns as name=value.

          --topology FILE           table, family, key and log-in are those of its hbase sink
          --sink NAME               of that topology, if it has several
          --set name=value          a parameter of the topology
          --hbase URL               HBase's REST gateway, http://host:port; instead of the topology's, or without one
          --table NAME              without a topology; default flow
          --family NAME             default f
          --key PATTERN             default \(defaultKey)
          --from TIME --to TIME     like 2026-01-05 or 2026-01-05T10:00:00Z; --to is not included
          --limit N                 rows; default 100000
          --json                    an object a line: {"time","key","cells":{}}

        example: millrace flow A-1007 --hbase http://gateway:8080 --from 2026-01-01 --to 2026-02-01 --json
        """
    static let options: [String: Arguments.Kind] = [
        "--topology": .value, "--sink": .value, "--set": .values, "--hbase": .value, "--table": .value,
        "--family": .value,
        "--key": .value, "--from": .value, "--to": .value, "--limit": .value, "--json": .flag,
    ]
    private static let defaultKey = "{salt:16}{account}|{event_time:reversed}|{id}"

    static func run(_ arguments: Arguments) throws(Fault) -> Int32 {
        guard arguments.files.count == 1, !arguments.files[0].isEmpty else {
            throw Fault(.user, "one account is expected, like millrace flow A-1007 --topology FILE")
        }
        let from = try time("--from", arguments)
        let to = try time("--to", arguments)
        if let from, let to, from >= to { throw Fault(.user, "--from is not before --to") }
        let limit = try arguments.integer("--limit", in: 1...10_000_000) ?? 100_000
        guard let (table, key) = try target(arguments) else { return ExitCode.usage }
        let (rows, isWhole) = try FlowReader(table, key: key).rows(
            of: arguments.files[0], from: from, to: to, limit: limit)
        for row in rows { put(arguments.has("--json") ? json(row) : line(row)) }
        if !isWhole {
            say("warning: there are more than \(limit) rows; give --from and --to, or a greater --limit")
        }
        return ExitCode.done
    }

    /// nil after the topology's mistakes were printed.
    private static func target(_ arguments: Arguments) throws(Fault) -> (HBaseTable, HBaseKey)? {
        let url = arguments.value("--hbase")
        if let url, let mistake = HBaseTable.mistake(inUrl: url) { throw Fault(.user, "--hbase: \(mistake)") }
        let urls = url.map { [$0.hasSuffix("/") ? String($0.dropLast()) : $0] }
        guard let path = arguments.value("--topology") else {
            guard let urls else { throw Fault(.user, "--topology FILE or --hbase URL is missing") }
            for name in ["--sink", "--set"] where arguments.has(name) {
                throw Fault(.user, "\(name) needs --topology")
            }
            let table = HBaseTable(
                urls: urls, table: arguments.value("--table") ?? "flow",
                family: arguments.value("--family") ?? "f")
            return (table, try HBaseKey(reading: arguments.value("--key") ?? defaultKey))
        }
        for name in ["--table", "--family", "--key"] where arguments.has(name) {
            throw Fault(.user, "\(name) is the topology's; leave one of them out")
        }
        guard let spec = try arguments.topology(path) else { return nil }
        let sinks = spec.sinks.compactMap { sink in
            (sink.target as? HBaseSinkPart).map { (name: sink.name, part: $0) }
        }
        let names = sinks.map(\.name).joined(separator: ", ")
        if sinks.isEmpty { throw Fault(.user, "\(path) has no hbase sink") }
        guard let wanted = arguments.value("--sink") ?? (sinks.count == 1 ? sinks[0].name : nil) else {
            throw Fault(.user, "\(path) has several hbase sinks; give --sink with one of \(names)")
        }
        guard let sink = sinks.first(where: { $0.name == wanted }) else {
            throw Fault(.user, "\(path) has no hbase sink '\(wanted)'; it has \(names)")
        }
        var table = sink.part.table
        if let urls { table.urls = urls }
        return (table, sink.part.row.key)
    }

    private static func time(_ name: String, _ arguments: Arguments) throws(Fault) -> Int64? {
        guard let text = arguments.value(name) else { return nil }
        guard let time = CivilTime.parse(text) else {
            throw Fault(
                .user,
                "\(name) takes a time like 2026-01-05 or 2026-01-05T10:00:00Z (UTC where it names no zone), not '\(text)'"
            )
        }
        return time.milliseconds
    }

    private static func line(_ row: FlowReader.Row) -> String {
        let cells = row.cells.map { cell in
            let isPlain =
                !cell.value.isEmpty
                && cell.value.unicodeScalars.allSatisfy { $0.value > 0x20 && $0 != "\"" && $0.value != 0x7F }
            return "\(cell.name)=\(isPlain ? cell.value : JsonText.quoted(cell.value))"
        }
        return ([CivilTime.string(row.time)] + cells).joined(separator: " ")
    }

    private static func json(_ row: FlowReader.Row) -> String {
        var json = JsonWriter()
        json.beginObject()
        json.member("time", CivilTime.string(row.time))
        json.member("key", row.key)
        json.name("cells")
        json.beginObject()
        for cell in row.cells { json.member(cell.name, cell.value) }
        json.endObject()
        json.endObject()
        return json.string
    }
}
