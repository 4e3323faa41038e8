import Records

/// A source that is a table: of each key the newest record counts, and steps look rows up in it (`join: {
/// table }`).
///
/// - **As of.** A row of a stream finds the newest version of its key whose event time is not after its own.
///   A record of the table that comes later, in the order in which the task reads, is seen by the rows that
///   are read after it, whatever its time: rows that went through before are not computed again.
/// - **Deletion.** A record without a value deletes the key, as of the record's Kafka timestamp; its Kafka
///   key is the table's key: the text of the field, or, of several fields, a JSON object of them. Where there
///   are no null values (files, tests), a record with `_deleted: true`, its key and its time does the same;
///   its other fields may be missing.
/// - **Duplicates.** Of two records of a key with the same event time the one that was read last counts.
/// - **Bound.** A version is dropped once a newer one of its key is `versions` older than the table's
///   watermark: the newest is always kept, and so is whatever can be asked for as of the last `versions`. Of
///   one key at most `Limits.tableVersionsPerKeyMax` versions are kept, the newest. A row that asks for what
///   was dropped goes to the dead letters: that it has no partner would be a guess. A key whose newest
///   version is a deletion is forgotten `versions` after it, as if it had never been; an older record of it
///   that comes after that brings it back.
/// - **Watermark.** The greatest event time of the table's records in the task, less `out_of_order`. The
///   clock does not move it, and streams do not wait for it.
/// - **Without a time** (a table in Redis): there is one version of each key, the last that was read,
///   whatever the time.
///
/// Not broadcast, partition p of the table belongs to task p, and its state survives with the task; a task
/// reads its tables to their ends before it goes on with its streams. Broadcast, every lane reads the whole
/// topic from its beginning to its end before it begins, and then goes on reading; what a record that is read
/// again after a restart finds is what the topic holds by then.
package struct TableSpec: Hashable, Sendable {
    /// Columns of the source's schema, all of them wire fields, in the order of the key.
    package var key: [Int]
    /// For how long before the table's watermark versions can be asked for, milliseconds.
    package var versions: Int64
    package var isBroadcast: Bool
    /// The wire field `_deleted`, which every table has.
    package var deleted: Int

    package init(key: [Int], versions: Int64, isBroadcast: Bool, deleted: Int) {
        self.key = key
        self.versions = versions
        self.isBroadcast = isBroadcast
        self.deleted = deleted
    }

    /// Name of the field that says that a record deletes its key.
    package static let deletedName = "_deleted"

    /// Columns of a source's schema that are kept and can be joined: all but the key and the mark of
    /// deletion.
    package func values(of schema: Schema) -> [Int] {
        schema.fields.indices.filter { !key.contains($0) && $0 != deleted }
    }
}

/// A table whose rows are hashes in Redis, looked up when they are needed and kept for a while.
///
/// Rows are as of now: their event time does not matter. What was found, be it nothing, is used for `stale`;
/// then it is asked for again. Where Redis does not answer within `timeout`, or has just failed to several
/// times, what is known for less than `stale` is used, and for everything else there is no partner: a lookup
/// never holds a batch up for longer than `timeout`. A key that Redis does not have, or a hash with none of
/// the table's fields, has no partner; a field that the hash does not have, or whose text is not of the
/// field's type, is null. In replay and in tests the table is given as records, like any other.
package struct RedisTableSpec: Hashable, Sendable {
    /// `limits:{merchant_id}`
    package var key: [KeyPart]
    /// Milliseconds.
    package var stale: Int64
    package var timeout: Int64
    package var server: RedisServerSpec

    package init(key: [KeyPart], stale: Int64, timeout: Int64, server: RedisServerSpec) {
        self.key = key
        self.stale = stale
        self.timeout = timeout
        self.server = server
    }
}

/// `join: { table: registry, on: merchant_id }`: a step's rows with the columns of a table's row, looked up
/// as they come in, before everything else that the step does. Null `on` fields find nothing.
///
/// `kind: inner` drops rows without a partner (they are counted), `kind: left` keeps them, with nulls, and
/// adds the column `<name>.found`. The columns are called `<name>.<field>`, the name being the table's or
/// that after `as`.
package struct TableJoinSpec: Hashable, Sendable {
    /// Index in the topology's sources.
    package var table: Int
    /// Columns of the step's input, for each key field of the table the one that must equal it.
    package var on: [Int]
    package var isLeft: Bool
    /// Columns of the table's schema that are added, right after the input's; then `found`, with `isLeft`.
    package var columns: [Int]

    package init(table: Int, on: [Int], isLeft: Bool, columns: [Int]) {
        self.table = table
        self.on = on
        self.isLeft = isLeft
        self.columns = columns
    }
}

extension SourceSpec {
    package var isBroadcast: Bool { table?.isBroadcast == true }

    /// A table that lies in Redis.
    package var redisTable: RedisTableSpec? { if case .redis(let table) = origin { table } else { nil } }

    /// Wire fields that a table in Redis finds in its hashes, by their wire names.
    package var hashFields: [Int] {
        guard let table else { return [] }
        return wire.indices.filter { !table.key.contains($0) && $0 != table.deleted }
    }

    /// Names of the fields that a table's topic is partitioned by.
    var tablePartitionKey: [String] {
        key.isEmpty ? table?.key.map { schema.fields[$0].name } ?? [] : key
    }
}

extension TopologySpec {
    /// The names of the fields by which a step's rows must be partitioned for its table to be in the same
    /// task; nil: it joins none of which that matters.
    func joinKey(of step: Int) -> [String]? {
        guard let join = steps[step].join, let table = sources[join.table].table, !table.isBroadcast,
            sources[join.table].redisTable == nil
        else { return nil }
        let keyNames = table.key.map { sources[join.table].schema.fields[$0].name }
        return sources[join.table].tablePartitionKey.compactMap { name in
            keyNames.firstIndex(of: name).map { steps[step].schema.fields[join.on[$0]].name }
        }
    }

    /// What is wrong with a step whose rows do not lie where its table's do, once there are several
    /// partitions; nil: nothing. Fits behind "step 'weighed'".
    package func joinMistake(of step: Int) -> String? {
        guard let wanted = joinKey(of: step), let join = steps[step].join else { return nil }
        let source = source(of: step)
        guard isPartitioned(source), keyMistake(of: source) == nil else { return nil }
        // A stream of windows lies where repartitioning has put their records.
        let key = repartitioned().partitionKey(of: source)
        if key == wanted { return nil }
        let found =
            key.map {
                $0.isEmpty ? "are all in one task" : "are partitioned by \($0.joined(separator: ", "))"
            }
            ?? "have no one key"
        let name = sources[join.table].name
        return
            "joins the table '\(name)' on \(wanted.joined(separator: ", ")), and its records \(found): with several "
            + "partitions they would not meet; write table: { ..., broadcast: true } in '\(name)', or key: "
            + "\(wanted.joined(separator: ", ")) in the source if its producers use that"
    }
}
