/// Every bound of the program, in one place. What each bounds, what happens where it is hit and what raises
/// it stands in `table`, for people.
package enum Limits {
    /// Rows in one batch: large enough that per-batch costs vanish, small enough that the columns of a
    /// batch stay in the second-level cache.
    package static let rowsPerBatchMax = 2048
    /// Bytes of one record's value; larger ones go to the dead-letter topic.
    package static let recordBytesMax = 1 << 20
    /// Bytes of a CSV record of a file that are held while the end of a quoted field is looked for; behind
    /// them the quote is taken as one that is never closed, and its line is refused by itself.
    package static let csvRecordBytesHeld = 16 << 20
    /// Of a schema and of what a registry answers: bytes, levels, types, and the instructions that it takes
    /// to read records of it.
    package static let schemaBytesMax = 1 << 20
    package static let schemaDepthMax = 64
    package static let schemaTypesMax = 10_000
    package static let schemaInstructionsMax = 100_000
    /// Schemas of a registry that a process remembers, and that a decoder has ready; with more it begins
    /// anew.
    package static let schemasKnownMax = 10_000
    package static let schemaProgramsMax = 1000
    /// How long a lane waits for a registry that is away before it begins anew.
    package static let registryWaitMilliseconds: Int64 = 10_000
    /// After so long a registry is asked once more for what it did not have.
    package static let registryAgainMilliseconds: Int64 = 60_000
    /// Bytes of a block of a container file, as it lies there and unpacked.
    package static let containerBlockBytesMax = 64 << 20
    /// Bytes of the rows that one record may make.
    package static let explodedBytesMax = 64 << 20
    /// Bytes of rows that are made of records at a time, and those of the last of them.
    package static let shapedBytesAtOnce = 16 << 20
    /// Lines among which the header of a file is looked for.
    package static let headerLinesMax = 1000
    /// Bytes that a record of ours may have beside a value of that size: key, headers.
    package static let recordHeadBytes = 64 << 10
    /// Bytes of one text value.
    package static let textBytesMax = 64 << 10
    /// Bytes that the panes of one window step and task may take for records that are further ahead of the
    /// watermark than any source's own: those of a union's faster input, or of a partition that is read
    /// before others.
    package static let aheadBytesMax = 1 << 30
    /// Columns of one record after derivation.
    package static let columnsMax = 256
    /// Digits after the point.
    package static let decimalScaleMax = 9
    /// Panes that one window may be cut into (size / slide).
    package static let panesPerWindowMax = 100_000
    /// Different values in a key's panes that `distinct` counts exactly, unless the topology says otherwise;
    /// beyond them it turns to HyperLogLog.
    package static let distinctExactMax = 1000
    /// The most that the `distinct`s of one step may count exactly together: with more, what changed of a key
    /// would be too much for one record of a changelog.
    package static let distinctExactOfStepMax = 100_000
    /// Nesting of an expression, of YAML and of a JSON path.
    package static let expressionDepthMax = 64
    package static let yamlDepthMax = 32
    package static let yamlBytesMax = 1 << 20
    /// Mistakes reported for one file.
    package static let diagnosticsMax = 100
    /// Steps, rules, sources and sinks of one topology, each.
    package static let nodesMax = 1000
    /// Paths from sources to one rule that are listed one by one.
    package static let latencyPathsListed = 64
    /// How far ahead of the clock an event may claim to be, unless the source says otherwise: what Kerberos
    /// allows between two machines' clocks (RFC 4120).
    package static let aheadMillisecondsDefault: Int64 = 300_000
    /// For how long versions of a table can be asked for, unless the table says otherwise.
    package static let tableVersionsMillisecondsDefault: Int64 = 7 * 86_400_000
    /// Versions of one key of a table.
    package static let tableVersionsPerKeyMax = 10_000
    /// Keys of a table in Redis that one lane remembers the rows of.
    package static let redisRowsRemembered = 1_000_000
    /// Keys of one task and step that a state bound is computed for, unless the topology says otherwise.
    package static let keysPerTaskDefault = 1_000_000
    /// Memory in which replay puts inputs into the order of event time, unless `--sort-memory` says
    /// otherwise.
    package static let replayBufferBytes = 256 << 20
    /// Bytes of a refused record that its dead letter carries.
    package static let deadLetterBytesMax = 900 << 10
    /// Event times per key for which alerts on records are remembered before old ones are dropped.
    package static let recordAlertsRemembered = 10_000
    /// Of the heap: larger blocks are the kernel's as soon as they are freed, as is free memory at the end
    /// beyond `heapFreeBytesMax`; it grows by `heapGrowthBytes`.
    package static let heapBlockBytesMax = 32 << 20
    package static let heapFreeBytesMax = 1 << 30
    package static let heapGrowthBytes = 64 << 20
    /// Bytes that one Redis writer may hold back while Redis is away.
    package static let redisPendingBytesMax = 256 << 20
    /// Workers of one group that may share a state folder.
    package static let workersPerStateFolderMax = 256
    /// Shops of a synthetic marketplace (their ids have six digits), and their orders a second.
    package static let marketplaceMerchantsMax = 999_999
    package static let marketplaceOrdersPerSecondMax = 100_000
    /// Refunds and deliveries that a synthetic marketplace may have ahead of it.
    package static let marketplacePendingMax = 1 << 20
    /// Parcels of money that one account tells apart while a loan's money is followed, and hops at most.
    package static let fundLotsPerAccountMax = 512
    package static let fundHopsMax = 32
    /// Bytes of the path of one parcel, and of the name of an account or a loan. An account's state is then
    /// below 750 KiB, which a changelog takes as one record.
    package static let fundPathBytesMax = 1024
    package static let fundNameBytesMax = 256
    /// Shops of a generated library month, and its orders: they are held in memory until they are sorted.
    package static let libraryMerchantsMax = 20_000
    package static let libraryOrdersMax = 5_000_000
    /// Of the rows of one task that wait in a join or a sequence for others, and again of those that wait
    /// there, or in another operator, until event time has passed them, unless the step says otherwise.
    package static let stepMemoryBytes = 1 << 30
    /// Rows of one key that wait on one side, unless the step says otherwise: as many as there is memory for.
    package static let rowsPerKeyDefault = Int.max
    /// Bytes of rows that come out of such a buffer at a time.
    package static let releasedBytesMax = 16 << 20
    /// Rows that joins may make of the rows of a batch that are taken at once, and bytes of outputs that wait
    /// for the end of a batch.
    package static let pairsAtOnceMax = 1 << 20
    package static let outboxBytesMax = 64 << 20
    /// Bytes of outputs that a lane holds for sinks that get them after the commit; with more, it commits.
    package static let heldOutputBytesMax = 64 << 20
    /// Keys of which a join or a sequence remembers that a record was refused; beyond them it is true of
    /// every key.
    package static let lostKeysMax = 100_000
    /// Keys that are told apart where it is said how many a limit was hit for.
    package static let limitKeysCounted = 1000
    /// Records of each key that `top` may ask for.
    package static let topMax = 1000
    /// Sessions of one task and step that are open at a time.
    package static let sessionsPerTaskMax = 1_000_000
    /// Items of one key that graded response counts, and items that it does not count since they are
    /// suppressed, unless the step says otherwise; and what it may say, so that a key's state fits into a
    /// record.
    package static let levelItemsDefault = 256
    package static let levelItemsMax = 1024
    /// Bytes of an item's name.
    package static let levelItemBytesMax = 256
    /// Levels of one step, and the items that a row of it lists.
    package static let levelsMax = 32
    package static let levelItemsListed = 64
    /// Bytes of a topology's text that is deployed while it runs.
    package static let ruleSetBytesMax = 900 << 10
    /// Bytes of records that are kept in memory to make an alert, or the alerts of changing rules, again.
    package static let bundleBytesMax = 2 << 30
    /// Bytes of a line of such a file: a record with its key, in base64.
    package static let bundleLineBytesMax = 64 << 20
    /// Epochs of rules by which a task that was away may have been judged last, for which it is known which
    /// rules changed.
    package static let ruleSetsRemembered = 20
    /// Bytes of a model's file, the nesting in it, the features and outputs of a model, and the nodes of a
    /// tree.
    package static let modelBytesMax = 512 << 20
    package static let modelDepthMax = 64
    package static let modelFeaturesMax = 2047
    package static let modelOutputsMax = 1000
    package static let modelTreeNodesMax = 1 << 20
    /// Steps of a sequence that a network takes, and units of one layer.
    package static let modelStepsMax = 10_000
    package static let modelUnitsMax = 4096
    /// Values of a `sequence_of`, which is a text.
    package static let sequenceValuesMax = 3000
    /// How long a record waits for an input of its task that was read to its end and is not idle yet, unless
    /// `--max-task-idle` says otherwise; and for one round of fetches.
    package static let taskIdleMilliseconds: Int64 = 100
    package static let inputConfirmMilliseconds: Int64 = 20
    /// How long it waits for one that has more to read.
    package static let inputBehindMilliseconds: Int64 = 30_000
    /// A record that was appended so long ago has been waiting anyway, and waits for inputs that were just
    /// read to their ends as long as for idle ones, at most so long.
    package static let inputFreshMilliseconds: Int64 = 1000
    package static let inputSettleMilliseconds: Int64 = 2000
    /// Values of records of one task that wait for others.
    package static let inputBytesMax = 256 << 20
}
