import Base

/// The generated month of the rule library: a file of JSON lines for each stream, and labels.jsonl with what
/// was planted for every rule. Integers and tables only: the same options give the same bytes everywhere.
package enum LibraryMonth {
    package struct Summary: Sendable {
        package var records: Int
        package var labels: [LibraryLabel]
    }

    /// Writes the month into the folder at `path`, which is made if it is not there.
    package static func write(_ options: LibraryOptions, to path: String) throws(Fault) -> Summary {
        try options.check()
        var folder = try LibraryFolder(path: path, seed: options.seed)
        let cast = LibraryCast(options)
        let trade = LibraryTrade(options, cast)
        let sales = trade.sales()
        try trade.write(to: &folder)

        var documents = TradeDocuments(options, cast)
        try documents.write(trade.orders, to: &folder)
        try documents.writeTaxes(sales, to: &folder)
        try documents.writeRegistry(to: &folder)

        var platform = LibraryPlatform(options, cast)
        try platform.writeShops(to: &folder)
        try platform.writeViolations(to: &folder)
        try platform.writePolicies(to: &folder)

        try LibraryCredit(options, trade).write(to: &folder)

        let money = LibraryMoney(options, cast, sales: sales)
        try money.write(to: &folder)

        let feeds = LibraryFeeds(options)
        try feeds.write(to: &folder)

        let labels = trade.labels + documents.labels + platform.labels + money.labels + feeds.labels
        let records = folder.records
        try folder.write("labels", times: labels.map(\.from), isTable: true) { index, line in
            labels[index].write(to: &line)
        }
        return Summary(records: records, labels: labels)
    }
}
