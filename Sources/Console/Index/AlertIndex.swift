import Base
import Glibc
import Records
import Security
import Synchronization

/// Alerts and what became of them, by which lists are filtered and searched: an index of topics in one file,
/// which may be deleted and is built again from them. One thread writes; others read at the same time.
package final class AlertIndex: Sendable {
    /// Of the file: another is built anew.
    static let version = 1

    private let writer: Mutex<Writer>
    /// For whoever holds `reading`.
    nonisolated(unsafe) private let reader: Sqlite
    private let reading = Mutex<Void>(())
    /// Of the file, as far as events name their places in it.
    package let name: String
    private let sequence: Atomic<Int64>

    private struct Writer: ~Copyable {
        var database: Sqlite
        var isBuilding: Bool
        var unreadable = 0
        /// By topic, the offset after the last record that was taken.
        var positions: [String: [Int32: Int64]]
    }

    /// `cluster`: what the index is of; another one's is thrown away.
    package init(folder: String, cluster: String) throws(Fault) {
        let path = folder + "/index.sqlite"
        func open() throws(Fault) -> (Sqlite, String)? {
            let database = try Sqlite(path)
            try database.script(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -100000; PRAGMA temp_store = MEMORY"
            )
            try database.script(Self.schema)
            var known: [String: String] = [:]
            try database.run("SELECT name, value FROM facts") { known[$0.text(0)] = $0.text(1) }
            if known.isEmpty {
                let name = Secret.text(8)
                for (key, value) in [("version", "\(Self.version)"), ("cluster", cluster), ("name", name)] {
                    try database.run("INSERT INTO facts VALUES (?, ?)", [.text(key), .text(value)])
                }
                return (database, name)
            }
            guard known["version"] == "\(Self.version)", known["cluster"] == cluster, let name = known["name"]
            else { return nil }
            return (database, name)
        }
        var opened: (Sqlite, String)?
        do throws(Fault) { opened = try open() } catch {
            Log.warning("\(path): \(error.detail); it is built again")
        }
        if opened == nil {
            for suffix in ["", "-wal", "-shm"] { unlink(path + suffix) }
            opened = try open()
        }
        guard let (database, name) = opened else { throw Fault(.external, "\(path) cannot be made") }
        self.name = name
        var positions: [String: [Int32: Int64]] = [:]
        try database.run("SELECT topic, partition, next FROM positions") {
            positions[$0.text(0), default: [:]][Int32($0.int(1))] = $0.int(2)
        }
        var last: Int64 = 0
        try database.run(
            "SELECT max(coalesce((SELECT max(sequence) FROM alerts), 0), coalesce((SELECT max(sequence) FROM dispositions), 0))"
        ) {
            last = $0.int(0)
        }
        sequence = Atomic(last)
        writer = Mutex(Writer(database: database, isBuilding: positions.isEmpty, positions: positions))
        reader = try Sqlite(path)
        if !positions.isEmpty { try finishBuilding() }
    }

    private static let schema = """
        CREATE TABLE IF NOT EXISTS facts(name TEXT PRIMARY KEY, value TEXT);
        CREATE TABLE IF NOT EXISTS positions(topic TEXT, partition INTEGER, next INTEGER, PRIMARY KEY (topic, partition));
        CREATE TABLE IF NOT EXISTS alerts(
          number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, topology TEXT, rule TEXT, risk TEXT, severity INTEGER, state TEXT,
          revision INTEGER, customer TEXT, time INTEGER, detected INTEGER, cleared INTEGER, message TEXT, measure TEXT, epoch INTEGER,
          score REAL, topic TEXT, partition INTEGER, offset INTEGER, sequence INTEGER, status TEXT NOT NULL DEFAULT 'open', owner TEXT,
          outcome TEXT, until INTEGER, note TEXT, by TEXT, at INTEGER, disposition INTEGER NOT NULL DEFAULT 0);
        CREATE TABLE IF NOT EXISTS dispositions(
          alert_id TEXT PRIMARY KEY, topology TEXT, status TEXT, owner TEXT, outcome TEXT, until INTEGER, note TEXT, by TEXT, at INTEGER,
          revision INTEGER, sequence INTEGER, json TEXT) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS deliveries(
          number INTEGER PRIMARY KEY, id TEXT, topology TEXT, alert_id TEXT, at INTEGER, state TEXT, channel TEXT, json TEXT);
        """

    private static let indices = """
        CREATE INDEX IF NOT EXISTS alerts_time ON alerts(time);
        CREATE INDEX IF NOT EXISTS alerts_detected ON alerts(detected);
        CREATE INDEX IF NOT EXISTS alerts_customer ON alerts(customer, time);
        CREATE INDEX IF NOT EXISTS alerts_status ON alerts(status, time);
        CREATE INDEX IF NOT EXISTS alerts_sequence ON alerts(sequence);
        CREATE INDEX IF NOT EXISTS dispositions_sequence ON dispositions(sequence);
        CREATE INDEX IF NOT EXISTS deliveries_alert ON deliveries(alert_id);
        """

    /// Topics were read to their ends: from here on it is kept up with what comes.
    package func finishBuilding() throws(Fault) {
        try write { (writer) throws(Fault) in
            try writer.database.script(Self.indices)
            writer.isBuilding = false
        }
    }

    package var isBuilding: Bool { writer.withLock { $0.isBuilding } }
    /// Records that were no alerts.
    package var unreadable: Int { writer.withLock { $0.unreadable } }
    package func positions(of topic: String) -> [Int32: Int64] {
        writer.withLock { $0.positions[topic] ?? [:] }
    }
    package var lastSequence: Int64 { sequence.load(ordering: .acquiring) }

    private func write(_ body: (inout Writer) throws(Fault) -> Void) throws(Fault) {
        try writer.withLock { (writer) throws(Fault) in try body(&writer) }
    }

    // MARK: Writing

    package enum Kind: Sendable { case alert, disposition, delivery }

    package struct Entry {
        package var topic: String
        package var partition: Int32
        package var offset: Int64
        package var value: [UInt8]
        package var kind: Kind

        package init(topic: String, partition: Int32, offset: Int64, value: [UInt8], kind: Kind) {
            (self.topic, self.partition, self.offset, self.value, self.kind) = (
                topic, partition, offset, value, kind
            )
        }
    }

    private static let insertAlert = """
        INSERT INTO alerts(id, topology, rule, risk, severity, state, revision, customer, time, detected, cleared, message, measure, epoch,
          score, topic, partition, offset, sequence)
        VALUES (json_extract(?1, '$.alert_id'), json_extract(?1, '$.topology'), json_extract(?1, '$.rule'), json_extract(?1, '$.risk'),
          CASE json_extract(?1, '$.severity') WHEN 'critical' THEN 3 WHEN 'high' THEN 2 WHEN 'medium' THEN 1 ELSE 0 END,
          coalesce(json_extract(?1, '$.state'), 'raised'), coalesce(json_extract(?1, '$.revision'), 1), json_extract(?1, '$.customer'),
          milliseconds(json_extract(?1, '$.event_time')), milliseconds(json_extract(?1, '$.detected_at')),
          CASE json_extract(?1, '$.state') WHEN 'cleared' THEN milliseconds(json_extract(?1, '$.event_time')) END,
          json_extract(?1, '$.message'), json_extract(?1, '$.measure'), json_extract(?1, '$.epoch'), json_extract(?1, '$.score'),
          ?2, ?3, ?4, ?5)
        ON CONFLICT(id) DO UPDATE SET state = excluded.state, revision = excluded.revision, cleared = excluded.cleared,
          sequence = excluded.sequence WHERE excluded.revision > alerts.revision
        """

    private static let insertDisposition = """
        INSERT INTO dispositions VALUES (json_extract(?1, '$.alert_id'), json_extract(?1, '$.topology'), json_extract(?1, '$.status'),
          json_extract(?1, '$.owner'), json_extract(?1, '$.outcome'), milliseconds(json_extract(?1, '$.until')), json_extract(?1, '$.note'),
          json_extract(?1, '$.by'), milliseconds(json_extract(?1, '$.at')), json_extract(?1, '$.revision'), ?2, ?1)
        ON CONFLICT(alert_id) DO UPDATE SET topology = excluded.topology, status = excluded.status, owner = excluded.owner,
          outcome = excluded.outcome, until = excluded.until, note = excluded.note, by = excluded.by, at = excluded.at,
          revision = excluded.revision, sequence = excluded.sequence, json = excluded.json
          WHERE excluded.revision > dispositions.revision
        """

    private static let applyDisposition = """
        UPDATE alerts SET (status, owner, outcome, until, note, by, at, disposition) =
          (SELECT status, owner, outcome, until, note, by, at, revision FROM dispositions WHERE alert_id = alerts.id)
        WHERE id = json_extract(?1, '$.alert_id') AND EXISTS (SELECT 1 FROM dispositions WHERE alert_id = alerts.id)
        """

    /// Of a try that the notifier has written down (`DeliveryRecord`), a row for each alert that it told of,
    /// as the API says it.
    private static let insertDelivery = """
        INSERT INTO deliveries(id, topology, alert_id, at, state, channel, json)
        SELECT id, ?2, alert, milliseconds(at), state, channel, json_object('id', id, 'topology', ?2, 'alert_id', alert,
          'route', json_extract(?1, '$.route'), 'recipient', json_extract(?1, '$.recipient'), 'channel', channel, 'state', state,
          'attempts', json_extract(?1, '$.try'), 'at', at, 'status', CAST(json_extract(?1, '$.code') AS TEXT),
          'error', CASE WHEN state <> 'accepted' THEN json_extract(?1, '$.text') END, 'milliseconds', json_extract(?1, '$.ms'))
        FROM (SELECT json_extract(?1, '$.id') AS id, json_extract(?1, '$.at') AS at, json_extract(?1, '$.channel') AS channel,
          CASE json_extract(?1, '$.status') WHEN 'delivered' THEN 'accepted' WHEN 'posted' THEN 'accepted' WHEN 'failed' THEN 'waiting'
            ELSE 'failed' END AS state),
          (SELECT value AS alert FROM json_each(?1, '$.alerts')
            UNION ALL SELECT NULL WHERE coalesce(json_array_length(?1, '$.alerts'), 0) = 0)
        """

    /// Takes records, all of them or none, and their places with them.
    package func take(_ entries: [Entry]) throws(Fault) {
        try write { (writer) throws(Fault) in
            let database = writer.database
            try database.script("BEGIN IMMEDIATE")
            do throws(Fault) {
                for entry in entries { try take(entry, &writer) }
                for topic in Set(entries.map(\.topic)) {
                    for (partition, next) in writer.positions[topic] ?? [:] {
                        try database.run(
                            "INSERT OR REPLACE INTO positions VALUES (?, ?, ?)",
                            [.text(topic), .int(Int64(partition)), .int(next)])
                    }
                }
                try database.script("COMMIT")
            } catch {
                try? database.script("ROLLBACK")
                throw error
            }
        }
    }

    private func take(_ entry: Entry, _ writer: inout Writer) throws(Fault) {
        writer.positions[entry.topic, default: [:]][entry.partition] = entry.offset + 1
        if entry.value.isEmpty { return }
        let database = writer.database
        let number = sequence.wrappingAdd(1, ordering: .releasing).newValue
        do throws(Fault) {
            let values: [SqlValue] = [
                .text(entry.topic), .int(Int64(entry.partition)), .int(entry.offset), .int(number),
            ]
            try entry.value.withUnsafeBufferPointer { (bytes) throws(Fault) in
                switch entry.kind {
                case .alert:
                    _ = try database.run(Self.insertAlert, bytes, values)
                    _ = try database.run(Self.applyDisposition, bytes, [])
                case .disposition:
                    _ = try database.run(Self.insertDisposition, bytes, [.int(number)])
                    _ = try database.run(Self.applyDisposition, bytes, [])
                case .delivery:
                    let topology =
                        entry.topic.hasSuffix("-deliveries")
                        ? String(entry.topic.dropLast("-deliveries".count)) : entry.topic
                    _ = try database.run(Self.insertDelivery, bytes, [.text(topology)])
                }
            }
        } catch {
            // What is no JSON, or has no id: the disk would say so at the commit.
            writer.unreadable += 1
            if writer.unreadable <= 10 {
                Log.warning(
                    "topic '\(entry.topic)', partition \(entry.partition), offset \(entry.offset): no \(entry.kind): \(error.detail)"
                )
            }
        }
    }

    // MARK: Reading

    func read(_ sql: String, _ values: [SqlValue] = [], _ body: (Sqlite.Row) -> Void) throws(Fault) {
        try reading.withLock { (_) throws(Fault) in _ = try reader.run(sql, values, body) }
    }
}
