import Base
import Engine
import Testing
import Topology

/// What `lint` says of an hbase sink.
@Suite struct HBaseSinkTests {
    static func text(_ hbase: String, from: String = "moves") -> String {
        """
        topology: t
        sources:
          moves:
            kafka: { topic: moves }
            time: { field: at }
            schema: { id: text, account: text, amount: decimal(2), at: timestamp }
        steps:
          sums: { from: moves, key: account, window: { size: 1h }, aggregate: { n: count() } }
          all: { from: moves }
        sinks:
          rows:
            from: \(from)
            hbase: { \(hbase) }
        """
    }

    @Test(arguments: [
        (
            #"url: "http://h", table: flow, key: "{salt:16}{acount}|{id}""#,
            "13:60: step all has no field 'acount'; did you mean 'account'?"
        ),
        (
            #"url: "http://h", table: flow, key: "{account}{id}""#,
            "13:60: a text must stand between {account} and this"
        ),
        (
            #"url: "http://h", table: flow, key: "{account}x{id}""#,
            "what stands behind {account} begins with a sign"
        ),
        (
            #"url: "http://h", table: flow, key: "{amount:reversed}""#,
            "13:51: 'amount' of step all is no timestamp"
        ),
        (#"url: "http://h", table: flow, key: "{at:backwards}""#, "13:51: there is no {at:backwards}"),
        (#"url: "http://h", table: flow, key: "{id}|{salt:16}""#, "13:56: the salt stands at the beginning"),
        (#"url: "http://h", table: flow, key: "{salt:1}{id}""#, "13:51: a salt has a number from 2 to 256"),
        (#"url: "http://h", table: flow, key: "rows""#, "13:49: the key names no field"),
        (#"url: "http://h", table: flow, key: "{id}", columns: [id, nam]"#, "step all has no field 'nam'"),
        (
            #"url: "http://a:b@h", table: flow, key: "{id}""#,
            "13:19: url: a name and password stand in 'user' and 'password'"
        ),
        (#"url: "h:8080", table: flow, key: "{id}""#, "13:19: url: it is http://host:port"),
        (#"url: "http://h", table: "a b", key: "{id}""#, "'a b' is no name of a table"),
        (#"url: "http://h", table: flow, key: "{id}", user: x"#, "'user' and 'password' go together"),
        (#"table: flow, key: "{id}""#, "needs 'url'"),
    ])
    func mistakesHaveTheirPlaces(_ hbase: String, _ expected: String) throws {
        let (spec, diagnostics) = TopologyReader.read(Self.text(hbase, from: "all"), file: "t.yaml")
        #expect(spec == nil)
        let told = diagnostics.map { "\($0)" }
        #expect(told.count == 1 && told[0].contains(expected), "\(told)")
    }

    @Test func theTopicIsTheTopologysOwn() throws {
        // Goal: the lanes publish its rows, of records, windows and alerts, and nobody else may write there.
        let keys = [
            ("all", "{account}|{at:ordered}|{id}"),
            ("sums", "{salt:256}{key.account}|{window.end:reversed}|{values.n}"),
        ]
        for (from, key) in keys {
            let (spec, diagnostics) = TopologyReader.read(
                Self.text("url: \"https://h:1/\", table: \"ns:flow\", key: \"\(key)\"", from: from),
                file: "t.yaml")
            let sink = try #require(spec?.sinks.first, "\(diagnostics)")
            #expect(sink.topic == "t-hbase-rows" && sink.target.isOpenedByWorker)
            #expect(!sink.target.logic.contains("https"))
            let plan = Worker.topics(of: try #require(spec), group: "g", partitions: 2).first {
                $0.name == "t-hbase-rows"
            }
            #expect(plan?.configuration["retention.ms"] == "2592000000")
        }
        let other =
            Self.text("url: \"http://h\", table: flow, key: \"{id}\"", from: "all")
            + "\n  mine: { from: all, kafka: { topic: t-hbase-rows } }"
        let (spec, diagnostics) = TopologyReader.read(other, file: "t.yaml")
        #expect(spec == nil && diagnostics.first?.message.contains("rows on their way to HBase") == true)
    }
}
