import Base
import Records
import Topology

/// `hbase: { url, table, key }`, served by `HBaseOutlet`.
package struct HBaseSinkPart: OutletSink, SinkPart {
    package static let key = "hbase"
    package static let example =
        "hbase: { url: \"http://gateway:8080\", table: turnover, key: \"{salt:16}{key.merchant_id}|{window.end:reversed}\" }"
    package static let reference = """
        `hbase: { url: "http://gateway:8080", table: flow, key: "{salt:16}{account}|{event_time:reversed}|{id}" }`: rows of a table,
        over HBase's REST gateway. The lane writes the records to the topic `<topology>-hbase-<sink>` in its transaction; from there the
        workers put them, each time up to 1,000, and go on once HBase has taken them. So alerts never wait for HBase, nothing is
        missing after a crash, and what is put twice is there once: a row's cells have the record's event time as their timestamp. While
        HBase is away the rows wait in the topic, 30 days if the workers made it. What the gateway refuses for good (400, 413) is a dead
        letter, and so is a row whose key has a null.

        | key | |
        |---|---|
        | `url` | `http://` or `https://host:port` of the gateway; several as a list, of which any will do |
        | `table`, `family` | of the table, which must be there; `family` is `f` if it is left out |
        | `key` | texts and fields of the records: see below |
        | `columns` | the fields that become cells `family:field`; all if it is left out. What is null has no cell |
        | `user`, `password` | of Basic authentication, `password` by reference: `${env:HBASE_PASSWORD}` |
        | `ca` | a file of certificates to trust for `https` in place of the system's |

        In `key`, `{field}` is a field's text, in which `%`, spaces and what ends a field, as `|` here, are written like `%7c`;
        `{field:reversed}` and `{field:ordered}` are a time as 19 digits of milliseconds, subtracted from 2^63 - 1 or as they are; `{salt:16}`,
        at the beginning, is two hexadecimal digits: the CRC-32 of the rest modulo 16. A text that begins with a sign stands behind each field that is no
        time, if another part follows. Of a step with a window the fields are `key.FIELD`, `window.start`, `window.end`, `values.OUTPUT`; of alerts
        `alert_id`, `rule`, `risk`, `severity`, `state`, `customer`, `event_time`. `millrace flow` reads the rows of a first field back.
        """

    package let topic: String
    package let table: HBaseTable
    package let row: HBaseRow

    package var delivery: SinkDelivery { .topic(topic) }
    package var isOpenedByWorker: Bool { true }
    /// Days of a long weekend and more: rows are not lost while HBase is mended.
    package var topicConfiguration: [String: String] { ["retention.ms": "2592000000"] }
    package var shown: String {
        "HBase table \(table.table), family \(table.family), by \(row.key.pattern), over topic \(topic)"
    }
    package var logic: String {
        let columns =
            row.columns.map { "[\($0.map { JsonText.quoted($0) }.joined(separator: ", "))]" } ?? "all"
        return "{hbase: {table: \(JsonText.quoted(table.table)), family: \(JsonText.quoted(table.family)), "
            + "key: \(JsonText.quoted(row.key.pattern)), columns: \(columns)}}"
    }

    package func outlet(_ context: OutletContext) -> any Outlet {
        HBaseOutlet(context, topic: topic, row: row, table: table)
    }

    // MARK: Reading

    package static func read(_ node: YamlNode, _ scope: SinkScope) -> Self? {
        let context = scope.context
        let before = context.diagnostics.count
        guard
            let hbase = scope.mapping(
                node, of: Self.self,
                keys: ["url", "table", "family", "key", "columns", "user", "password", "ca"])
        else { return nil }
        let urls = hbase.required("url", example: "url: \"http://gateway:8080\"").flatMap {
            context.names($0, "url", example: "url: \"http://gateway:8080\"")
        }
        for url in urls ?? [] {
            if let mistake = HBaseTable.mistake(inUrl: url.text) {
                context.error(url.position, "url: \(mistake)")
            }
        }
        let table = hbase.requiredText("table", example: "table: flow")
        if let table { checkName(table, "table", context) { $0 == 0x3A } }
        let family = hbase.text("family", example: "family: f")
        if let family { checkName(family, "column family", context) { _ in false } }
        let fields = HBaseFields(scope)
        let pattern = hbase.requiredText(
            "key", example: "key: \"{salt:16}{account}|{event_time:reversed}|{id}\"")
        let parts = pattern.flatMap { HBaseKeyReader(context, fields).read($0) }
        let columns = hbase["columns"].map {
            context.names($0, "columns", example: "columns: [account, amount]") ?? []
        }
        for column in columns ?? [] { fields.check(column.text, column, context) }
        let user = hbase.text("user", example: "user: millrace")
        let password = hbase.text("password", example: "password: \"${env:HBASE_PASSWORD}\"")
        if (user == nil) != (password == nil), hbase.isGiven("user") != hbase.isGiven("password") {
            context.error(
                hbase.keyPosition(user == nil ? "password" : "user"),
                "'user' and 'password' go together; write password: \"${env:HBASE_PASSWORD}\"")
        }
        let authority = hbase.text("ca", example: "ca: /etc/ssl/hbase-ca.pem")
        let topic = "\(scope.topology)-hbase-\(scope.name)"
        if topic.utf8.count > 249 {
            context.error(
                scope.position,
                "the names of the topology and the sink make a topic of more than 249 letters: \(topic)")
        }
        guard context.diagnostics.count == before, let urls, let table, let parts else { return nil }
        return Self(
            topic: topic,
            table: HBaseTable(
                urls: urls.map { $0.text.hasSuffix("/") ? String($0.text.dropLast()) : $0.text },
                table: table.text,
                family: family?.text ?? "f",
                credentials: user.flatMap { user in password.map { "\(user.text):\($0.text)" } },
                certificateAuthority: authority?.text),
            row: HBaseRow(key: HBaseKey(parts), columns: columns.map { $0.map(\.text) }))
    }

    private static func checkName(
        _ name: ScalarText, _ what: String, _ context: ReadingContext, _ isAllowed: (UInt8) -> Bool
    ) {
        let isGood = name.text.utf8.allSatisfy {
            ReadingContext.isLetter($0) || ReadingContext.isDigit($0) || "_-.".utf8.contains($0)
                || isAllowed($0)
        }
        if !isGood || name.text.hasPrefix(".") || name.text.hasPrefix("-") {
            context.error(
                name.position,
                "'\(name.shown)' is no name of a \(what); HBase takes letters, digits, _, - and .")
        }
    }
}
