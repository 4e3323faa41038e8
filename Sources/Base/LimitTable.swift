/// One of the program's limits, for people.
package struct LimitEntry: Sendable {
    /// The constant in `Limits`.
    package var constant: String
    /// `record_bytes`; where it is counted, the label of its metric.
    package var name: String
    package var value: String
    package var bounds: String
    /// What happens where it is hit.
    package var whenHit: String
    /// Where that is said.
    package var told: Told
    /// What raises it; nil: nothing does.
    package var raisedBy: String?

    package enum Told: Sendable {
        /// `millrace_limit_hits_total`, a line a minute, and the summary of replays and tests.
        case counted
        /// A mistake in a file, with its place.
        case lint
        /// The command's error.
        case command
        /// Where `String` says.
        case place(String)
        /// It has no effect on what comes out.
        case nowhere
    }
}

extension Limits {
    /// As a table in Markdown.
    package static var markdown: String {
        var lines = [
            "| limit | value | of | where it is hit | said by | raised by |",
            "|---|---|---|---|---|---|",
        ]
        for entry in table {
            let told =
                switch entry.told {
                case .counted: "`limit_hits`"
                case .lint: "`lint`, at its place"
                case .command: "the command"
                case .place(let text): text
                case .nowhere: ""
                }
            lines.append(
                "| `\(entry.name)` | \(entry.value) | \(entry.bounds) | \(entry.whenHit) | \(told) | "
                    + "\(entry.raisedBy.map { "`\($0)`" } ?? "") |")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Every limit, those that records can hit first.
    package static let table: [LimitEntry] = atRecords + ofFiles + inside

    private static func entry(
        _ constant: String, _ name: String, _ value: String, _ bounds: String, _ whenHit: String,
        _ told: LimitEntry.Told,
        _ raisedBy: String? = nil
    ) -> LimitEntry {
        LimitEntry(
            constant: constant, name: name, value: value, bounds: bounds, whenHit: whenHit, told: told,
            raisedBy: raisedBy)
    }

    private static let atRecords: [LimitEntry] = [
        entry(
            "recordBytesMax", "record_bytes", bytes(recordBytesMax),
            "a record, or a row that an operator takes in",
            "it goes to the dead letters (`RecordTooLarge`)", .counted),
        entry(
            "deadLetterBytesMax", "dead_letter_bytes", bytes(deadLetterBytesMax),
            "what a dead letter has of its record",
            "the rest is left out", .place("its size")),
        entry(
            "explodedBytesMax", "exploded_bytes", bytes(explodedBytesMax),
            "the rows that `explode` makes of a record",
            "it goes to the dead letters (`RecordTooLarge`)", .place("the dead letter")),
        entry(
            "textBytesMax", "text_bytes", bytes(textBytesMax), "a text",
            "the record goes to the dead letters (`TextTooLong`)", .counted),
        entry(
            "schemaBytesMax", "schema_bytes", bytes(schemaBytesMax), "a schema, and what a registry answers",
            "records of it go to the dead letters (`UnknownSchema`)", .place("the dead letter")),
        entry(
            "schemaDepthMax", "schema_depth", number(schemaDepthMax),
            "levels of a schema, of what refers to what, and of a record",
            "records of it go to the dead letters (`UnknownSchema`)", .place("the dead letter")),
        entry(
            "schemaTypesMax", "schema_types", number(schemaTypesMax), "types of a schema",
            "records of it go to the dead letters (`UnknownSchema`)", .place("the dead letter")),
        entry(
            "schemaInstructionsMax", "schema_instructions", number(schemaInstructionsMax),
            "instructions by which records of a schema are read",
            "records of it go to the dead letters (`UnknownSchema`)", .place("the dead letter")),
        entry(
            "schemaProgramsMax", "schema_programs", number(schemaProgramsMax),
            "schemas for which a decoder is ready", "it forgets them, and makes them again", .nowhere),
        entry(
            "registryWaitMilliseconds", "registry_wait", "10s", "how long a lane waits for a registry",
            "it goes back to its last commit and tries again, with back-off", .place("a line in the log")),
        entry(
            "registryAgainMilliseconds", "registry_again", "60s",
            "how long a registry is not asked again for what it did not have",
            "records of it go to the dead letters meanwhile (`UnknownSchema`)", .place("the dead letter")),
        entry(
            "schemasKnownMax", "schemas_known", number(schemasKnownMax),
            "schemas of a registry that a process remembers", "it forgets them, and asks again", .nowhere),
        entry(
            "containerBlockBytesMax", "container_block_bytes", bytes(containerBlockBytesMax),
            "a block of a container of Avro, unpacked", "the file is refused", .command),
        entry(
            "aheadMillisecondsDefault", "ahead", "5m", "how far event time may be ahead of the clock",
            "the record goes to the dead letters (`TimeInTheFuture`)", .counted, "time: { ahead: … }"),
        entry(
            "aheadBytesMax", "window_ahead_bytes", bytes(aheadBytesMax),
            "panes of a window step and task that lie ahead of event time by more than `out_of_order`, for records that wait "
                + "for the slowest input or partition, or that leap",
            "the record goes to the dead letters (`TooFarAheadOfOtherPartitions`)", .counted),
        entry(
            "stepMemoryBytes", "memory", bytes(stepMemoryBytes),
            "rows of a step and task that wait for others, and once more those that wait for event time",
            "the row goes to the dead letters (`StepMemoryFull`); what depends on whether it was there does too "
                + "(`PartnerUnknown`)",
            .counted, "limit: { memory: … }"),
        entry(
            "rowsPerKeyDefault", "rows_per_key", "as many as `memory` has room for",
            "rows of one key that wait on one side of a join or sequence",
            "the row goes to the dead letters (`TooManyRowsOfKey`); what depends on whether it was there does too "
                + "(`PartnerUnknown`)",
            .counted, "limit: { rows_per_key: … }"),
        entry(
            "lostKeysMax", "lost_keys", number(lostKeysMax),
            "keys of which a join or sequence knows that a row was refused",
            "from then on it takes it for true of every key",
            .place("`PartnerUnknown` among the dead letters")),
        entry(
            "sessionsPerTaskMax", "sessions", number(sessionsPerTaskMax), "open sessions of a step and task",
            "the record that would begin one goes to the dead letters (`TooManySessions`)", .counted,
            "window: { limit: { sessions: … } }"),
        entry(
            "levelItemsDefault", "items", number(levelItemsDefault),
            "items of a key of `levels`, and suppressions",
            "the row goes to the dead letters (`TooManyItems`), and the key comes down no more until the item would have "
                + "expired; a suppression is refused in its row",
            .counted, "levels: { limit: { items: … } }"),
        entry(
            "levelItemBytesMax", "item_name_bytes", bytes(levelItemBytesMax), "an item's name",
            "the row goes to the dead letters (`NameTooLong`); a control is refused in its row", .counted),
        entry(
            "levelItemsListed", "items_listed", number(levelItemsListed),
            "items that a row of `levels` lists",
            "`and 7 more` stands for the rest", .place("the row")),
        entry(
            "fundLotsPerAccountMax", "fund_lots", number(fundLotsPerAccountMax),
            "parcels of money on an account",
            "parcels of one loan become one, whose path has a gap; of the oldest loan's, if there are none, the money is "
                + "followed no more",
            .counted),
        entry(
            "fundPathBytesMax", "fund_path_bytes", bytes(fundPathBytesMax), "a parcel's path",
            "the middle of the path is left out (`...`)", .counted),
        entry(
            "fundNameBytesMax", "fund_name_bytes", bytes(fundNameBytesMax),
            "the name of an account or a loan",
            "the transfer or disbursement goes to the dead letters (`NameTooLong`)", .counted),
        entry(
            "fundHopsMax", "fund_hops", number(fundHopsMax), "`hops` of a fund flow", "the file is refused",
            .lint),
        entry(
            "tableVersionsMillisecondsDefault", "table_versions", "7d",
            "how far back a table's versions reach",
            "a row that asks for a version that was dropped goes to the dead letters (`VersionForgotten`)",
            .counted,
            "table: { versions: … }"),
        entry(
            "tableVersionsPerKeyMax", "table_versions_per_key", number(tableVersionsPerKeyMax),
            "versions of one key of a table",
            "the oldest is dropped, and a row that asks for it goes to the dead letters (`VersionForgotten`)",
            .counted),
        entry(
            "recordAlertsRemembered", "record_alerts", number(recordAlertsRemembered),
            "alerts of a rule on records by which those of one key and instant get ids of their own",
            "of such a record behind the watermark the alert may have the id of another", .counted),
        entry(
            "redisPendingBytesMax", "redis_pending_bytes", bytes(redisPendingBytesMax),
            "metrics that wait while Redis is away",
            "those that have waited longest are dropped, until their key changes again", .counted),
        entry(
            "inputBehindMilliseconds", "input_behind", "30s",
            "how long a record waits for an input of its task that has more to read",
            "it is taken before what that input brings, and alerts may differ from a replay's", .counted),
        entry(
            "inputBytesMax", "input_bytes", bytes(inputBytesMax),
            "records of one task that wait for another input",
            "they are taken before what that input brings, and alerts may differ from a replay's", .counted),
        entry(
            "redisRowsRemembered", "redis_rows", number(redisRowsRemembered),
            "keys of a table in Redis that a lane knows",
            "all are asked for again", .nowhere),
        entry(
            "distinctExactOfStepMax", "distinct_exact_of_step", number(distinctExactOfStepMax),
            "values that the `distinct`s of a step may count exactly", "the file is refused", .lint),
        entry(
            "distinctExactMax", "distinct_exact", number(distinctExactMax),
            "values that `distinct` counts exactly",
            "the result is an estimate", .place("`lint`"), "distinct(x, exact: …)"),
    ]

    private static let ofFiles: [LimitEntry] = [
        entry(
            "yamlBytesMax", "file_bytes", bytes(yamlBytesMax), "a topology or test file", "it is refused",
            .lint),
        entry("yamlDepthMax", "file_depth", number(yamlDepthMax), "its nesting", "it is refused", .lint),
        entry(
            "expressionDepthMax", "expression_depth", number(expressionDepthMax), "an expression's nesting",
            "it is refused", .lint),
        entry(
            "nodesMax", "nodes", number(nodesMax), "sources, steps, rules and sinks, each",
            "the file is refused", .lint),
        entry(
            "columnsMax", "columns", number(columnsMax), "fields of a record", "the file is refused", .lint),
        entry(
            "decimalScaleMax", "decimal_places", number(decimalScaleMax), "places of a decimal",
            "the file is refused", .lint),
        entry(
            "panesPerWindowMax", "panes", number(panesPerWindowMax), "panes of a window: size / slide",
            "the file is refused",
            .lint),
        entry("topMax", "top_count", number(topMax), "`count` of `top`", "the file is refused", .lint),
        entry("levelsMax", "levels", number(levelsMax), "levels of a step", "the file is refused", .lint),
        entry(
            "levelItemsMax", "items_most", number(levelItemsMax), "what `limit: { items }` may say",
            "the file is refused", .lint),
        entry(
            "diagnosticsMax", "mistakes", number(diagnosticsMax), "mistakes shown of a file",
            "the rest is shown later", .lint),
        entry(
            "keysPerTaskDefault", "keys", number(keysPerTaskDefault),
            "keys that `lint` computes the state for",
            "none is refused: it bounds nothing", .place("`lint`"), "keys: …"),
    ]

    private static let inside: [LimitEntry] = [
        entry(
            "headerLinesMax", "header_lines", number(headerLinesMax),
            "lines among which `header: TEXT` looks for the header",
            "the file is refused", .place("the command")),
        entry(
            "csvRecordBytesHeld", "csv_record_bytes_held", bytes(csvRecordBytesHeld),
            "a CSV record of a file whose quoted field does not end",
            "its quote is taken as never closed, and its line is refused by itself", .place("the dead letter")
        ),
        entry(
            "recordHeadBytes", "record_head_bytes", bytes(recordHeadBytes),
            "key and headers of a record of ours",
            "it is room that the producer is given", .nowhere),
        entry(
            "replayBufferBytes", "sort_memory", bytes(replayBufferBytes),
            "memory in which `replay` sorts its inputs",
            "they are sorted on disk", .nowhere, "--sort-memory"),
        entry(
            "latencyPathsListed", "paths_listed", number(latencyPathsListed),
            "paths to one rule that `lint` lists",
            "of each source only the longest is listed", .place("`lint`")),
        entry(
            "ruleSetBytesMax", "rule_set_bytes", bytes(ruleSetBytesMax),
            "a topology that is deployed while it runs",
            "it is refused", .command),
        entry(
            "bundleBytesMax", "bundle_bytes", bytes(bundleBytesMax),
            "records of a bundle, or of `replay --activations`", "it is refused", .command),
        entry(
            "bundleLineBytesMax", "bundle_line_bytes", bytes(bundleLineBytesMax), "a line of such a file",
            "it is refused", .command),
        entry(
            "ruleSetsRemembered", "rule_sets_remembered", number(ruleSetsRemembered),
            "epochs after which it is known which rules a task that was away has seen",
            "every rule judges the task's keys once", .nowhere),
        entry(
            "modelBytesMax", "model_bytes", bytes(modelBytesMax), "a model's file", "it is refused", .command),
        entry(
            "modelDepthMax", "model_depth", number(modelDepthMax), "the nesting in it", "it is refused",
            .command),
        entry(
            "modelFeaturesMax", "model_features", number(modelFeaturesMax), "a model's features",
            "it is refused",
            .command),
        entry(
            "modelOutputsMax", "model_outputs", number(modelOutputsMax), "a model's outputs", "it is refused",
            .command),
        entry(
            "modelTreeNodesMax", "model_tree_nodes", number(modelTreeNodesMax), "nodes of a tree",
            "it is refused",
            .command),
        entry(
            "modelStepsMax", "model_steps", number(modelStepsMax), "steps of a sequence that a network takes",
            "it is refused", .command),
        entry(
            "modelUnitsMax", "model_units", number(modelUnitsMax), "units of a network's layer",
            "it is refused",
            .command),
        entry(
            "sequenceValuesMax", "sequence_values", number(sequenceValuesMax),
            "values of a `sequence_of`: steps times fields",
            "the file is refused", .place("`lint`, at its place")),
        entry(
            "rowsPerBatchMax", "batch_rows", number(rowsPerBatchMax), "records taken at a time",
            "the rest is the next batch", .nowhere),
        entry(
            "shapedBytesAtOnce", "shaped_bytes", bytes(shapedBytesAtOnce),
            "rows that are made of records at a time",
            "the rest is the next batch", .nowhere),
        entry(
            "releasedBytesMax", "released_bytes", bytes(releasedBytesMax),
            "rows that an operator takes at a time",
            "the rest comes after them", .nowhere),
        entry(
            "pairsAtOnceMax", "pairs_at_once", number(pairsAtOnceMax),
            "rows that joins may make of what is taken at a time",
            "fewer records are taken at a time", .nowhere),
        entry(
            "outboxBytesMax", "outbox_bytes", bytes(outboxBytesMax),
            "outputs that wait for the end of a batch",
            "they are handed on before", .nowhere),
        entry(
            "heldOutputBytesMax", "held_output_bytes", bytes(heldOutputBytesMax),
            "outputs that wait for their commit, for sinks that get them after it", "the lane commits",
            .nowhere),
        entry(
            "taskIdleMilliseconds", "task_idle", "100ms",
            "how long a record waits for an input of its task that was read to its end, and is not idle yet",
            "it is taken", .nowhere, "--max-task-idle"),
        entry(
            "inputConfirmMilliseconds", "input_confirm", "20ms",
            "and for a round of fetches of those that are idle",
            "it is taken", .nowhere),
        entry(
            "inputFreshMilliseconds", "input_fresh", "1s", "age of a record for which that holds",
            "an older one waits until its inputs are idle, `input_settle` at most", .nowhere),
        entry(
            "inputSettleMilliseconds", "input_settle", "2s", "how long a record that is old waits for that",
            "it is taken", .nowhere),
        entry(
            "limitKeysCounted", "limit_keys", number(limitKeysCounted),
            "keys told apart in a line about a limit",
            "it says `or more`", .nowhere),
        entry(
            "workersPerStateFolderMax", "workers_per_folder", number(workersPerStateFolderMax),
            "workers that share a state folder",
            "the next one does not start", .command),
        entry(
            "heapBlockBytesMax", "heap_block_bytes", bytes(heapBlockBytesMax),
            "blocks that the heap keeps when they are freed", "larger ones go back at once", .nowhere,
            "MALLOC_MMAP_THRESHOLD_"),
        entry(
            "heapFreeBytesMax", "heap_free_bytes", bytes(heapFreeBytesMax), "free memory that it keeps",
            "the rest goes back", .nowhere, "MALLOC_TRIM_THRESHOLD_"),
        entry(
            "heapGrowthBytes", "heap_growth_bytes", bytes(heapGrowthBytes), "by how much it grows",
            "it grows again", .nowhere, "MALLOC_TOP_PAD_"),
        entry(
            "marketplaceMerchantsMax", "marketplace_merchants", number(marketplaceMerchantsMax),
            "shops of a synthetic marketplace", "it is refused", .command),
        entry(
            "marketplaceOrdersPerSecondMax", "marketplace_rate", number(marketplaceOrdersPerSecondMax),
            "its orders a second", "it is refused", .command),
        entry(
            "marketplacePendingMax", "marketplace_pending", number(marketplacePendingMax),
            "its refunds and deliveries to come", "they come sooner", .nowhere),
        entry(
            "libraryMerchantsMax", "library_merchants", number(libraryMerchantsMax),
            "shops of a generated month", "it is refused", .command),
        entry(
            "libraryOrdersMax", "library_orders", number(libraryOrdersMax), "its orders", "it is refused",
            .command),
    ]

    // MARK: Figures

    private static func bytes(_ count: Int) -> String {
        for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)]
        where count >= 1 << shift && count % (1 << shift) == 0 {
            return "\(count >> shift) \(unit)"
        }
        return "\(count) bytes"
    }

    private static func number(_ count: Int) -> String {
        var text = ""
        for (index, digit) in String(count).reversed().enumerated() {
            if index > 0, index % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return String(text.reversed())
    }
}
