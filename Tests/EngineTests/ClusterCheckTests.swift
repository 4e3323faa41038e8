import Connectors
import Engine
import Testing
import Topology

@Suite struct ClusterCheckTests {
    /// Two sources that meet in one rule.
    private static func spec(guarantee: String = "exactly-once", steps: String = "") throws -> TopologySpec {
        let text = """
            topology: joined
            guarantee: \(guarantee)
            latency: 3s
            sources:
              orders:
                kafka: { topic: orders }
                key: merchant
                format: json
                time: { field: at, out_of_order: 1s, idle: 500ms }
                schema: { merchant: text, amount: decimal(2), at: timestamp }
              refunds:
                kafka: { topic: refunds }
                format: json
                time: { field: at, out_of_order: 1s, idle: 500ms }
                schema: { merchant: text, amount: decimal(2), at: timestamp }
            steps:
              \(steps)
              sold:
                from: orders
                key: merchant
                window: { size: 1h, slide: 1m }
                aggregate: { amount: sum(amount) }
              back:
                from: refunds
                key: merchant
                window: { size: 1h, slide: 1m }
                aggregate: { amount: sum(amount) }
            rules:
              wave:
                on: { sold, back }
                when: back.amount > 0.5 * sold.amount
                risk: refund-wave
                severity: high
                measure: look
                message: "{merchant}"
            sinks:
              alerts: { kafka: { topic: risk-alerts } }
            """
        let (spec, diagnostics) = TopologyReader.read(text, file: "joined.yaml", parameters: [:])
        return try #require(spec, "\(diagnostics)")
    }

    /// A cluster on which everything is right.
    private static func sound(brokers: Int = 3, partitions: Int = 4) -> KafkaClusterFacts {
        func topic(_ policy: String) -> KafkaTopicFacts {
            KafkaTopicFacts(
                partitions: partitions,
                replication: min(3, brokers),
                configuration: [
                    "cleanup.policy": policy, "retention.ms": "604800000", "retention.bytes": "-1",
                    "min.insync.replicas": brokers < 3 ? "1" : "2", "max.message.bytes": "1048588",
                ]
            )
        }
        let settings = [
            "transaction.max.timeout.ms": "900000", "default.replication.factor": "\(min(3, brokers))",
            "min.insync.replicas": brokers < 3 ? "1" : "2", "message.max.bytes": "1048588",
            "transaction.state.log.replication.factor": "\(min(3, brokers))",
            "transaction.state.log.min.isr": brokers < 3 ? "1" : "2",
        ]
        return KafkaClusterFacts(
            brokers: (1...brokers).map { KafkaClusterFacts.Broker(id: $0, configuration: settings) },
            topics: [
                "orders": topic("delete"), "refunds": topic("delete"), "risk-alerts": topic("delete"),
                "joined-dead-letter": topic("delete"), "joined-late": topic("delete"),
                "joined-state-changelog": topic("compact"),
            ]
        )
    }

    /// What is not ok, as `level check subject`.
    private static func troubles(_ facts: KafkaClusterFacts, guarantee: String = "exactly-once") throws
        -> [String]
    {
        ClusterCheck(try spec(guarantee: guarantee), group: "joined", facts: facts).findings
            .filter { $0.level != .ok }.map { "\($0.level.rawValue) \($0.check) \($0.subject)" }
    }

    @Test(arguments: [1, 3]) func soundClusterHasNoTroubles(brokers: Int) throws {
        // Goal: no false alarm, with one broker and with three; the rule's co-partitioning is stated.
        let check = ClusterCheck(try Self.spec(), group: "joined", facts: Self.sound(brokers: brokers))
        #expect(check.findings.filter { $0.level != .ok } == [])
        #expect(!check.hasErrors)
        #expect(check.findings.contains { $0.check == "co-partitioning" && $0.subject == "wave" })
    }

    @Test func joinedTopicsOfDifferentCountsAreAnError() throws {
        // Goal: the message names the rule, steps, topics, counts and which topic to make anew.
        var facts = Self.sound()
        facts.topics["refunds"]?.partitions = 3
        facts.topics["joined-state-changelog"] = nil
        let check = ClusterCheck(try Self.spec(), group: "joined", facts: facts)
        let errors = check.findings.filter { $0.level == .error }
        #expect(errors.count == 1)
        let message = try #require(errors.first?.message)
        for part in [
            "'wave'", "'sold'", "'back'", "'orders' of 4 partitions", "'refunds' of 3 partitions",
            "Make 'refunds' anew with 4",
        ] {
            #expect(message.contains(part), "\(part) in: \(message)")
        }
    }

    @Test func sourcesThatNoRuleJoinsMustAgreeToo() throws {
        // Goal: a task takes the same partition of every source, also where no rule needs both; once blamed
        // by a rule, a topic is not blamed again.
        var spec = try Self.spec()
        spec.rules = []
        var facts = Self.sound()
        facts.topics["orders"]?.partitions = 8
        facts.topics["joined-state-changelog"] = nil
        let check = ClusterCheck(spec, group: "joined", facts: facts)
        let errors = check.findings.filter { $0.level == .error }
        #expect(errors.map { "\($0.check) \($0.subject)" } == ["co-partitioning joined"])
        #expect(errors.first?.message.contains("'orders' has 8, 'refunds' has 4") == true)
        #expect(try Self.troubles(facts) == ["error co-partitioning wave"])
    }

    @Test func alertsMustNotBeCompacted() throws {
        // Goal: a topic of alerts, or of what was refused, that keeps the last record of a key only is told.
        var facts = Self.sound()
        for topic in ["risk-alerts", "joined-late"] {
            facts.topics[topic]?.configuration?["cleanup.policy"] = "compact,delete"
        }
        #expect(
            try Self.troubles(facts) == [
                "error cleanup-policy risk-alerts", "warning cleanup-policy joined-late",
            ])
    }

    @Test func changelogMustFitTheSourcesAndKeepEverything() throws {
        // Goal: another count or any policy that deletes is an error; compaction alone is none.
        for (partitions, policy, expected) in [
            (8, "compact", ["error partitions joined-state-changelog"]),
            (4, "delete", ["error cleanup-policy joined-state-changelog"]),
            (4, "compact,delete", ["error cleanup-policy joined-state-changelog"]),
            (4, "compact", []),
        ] {
            var facts = Self.sound()
            facts.topics["joined-state-changelog"]?.partitions = partitions
            facts.topics["joined-state-changelog"]?.configuration?["cleanup.policy"] = policy
            #expect(try Self.troubles(facts) == expected, "\(partitions) \(policy)")
        }
    }

    @Test func repartitionTopicsAreChecked() throws {
        // Goal: a repartition topic that exists must have the sources' count and must not be compacted.
        var facts = Self.sound()
        facts.topics["joined-sold-by-amount-repartition"] = KafkaTopicFacts(
            partitions: 2,
            replication: 3,
            configuration: ["cleanup.policy": "compact"]
        )
        let steps =
            "sold-by-amount: { from: orders, key: amount, window: { size: 1h }, aggregate: { n: count() } }"
        let check = ClusterCheck(try Self.spec(steps: steps), group: "joined", facts: facts)
        let troubles = check.findings.filter { $0.level != .ok }.map {
            "\($0.level.rawValue) \($0.check) \($0.subject)"
        }
        #expect(
            troubles == [
                "error partitions joined-sold-by-amount-repartition",
                "error cleanup-policy joined-sold-by-amount-repartition",
            ]
        )
    }

    @Test func brokerSettingsAreChecked() throws {
        // Goal: each setting that makes commits fail or lose is found by itself.
        func changed(_ name: String, _ value: String) -> KafkaClusterFacts {
            var facts = Self.sound()
            facts.brokers[1].configuration?[name] = value
            return facts
        }
        #expect(
            try Self.troubles(changed("transaction.max.timeout.ms", "9999")) == [
                "error transaction-timeout cluster"
            ]
        )
        #expect(
            try Self.troubles(changed("transaction.max.timeout.ms", "9999"), guarantee: "at-least-once") == []
        )
        #expect(try Self.troubles(changed("transaction.state.log.replication.factor", "1")).count == 1)
        var single = Self.sound(brokers: 1)
        single.brokers[0].configuration?["transaction.state.log.replication.factor"] = "3"
        #expect(try Self.troubles(single) == ["error transaction-log cluster"])
        single.topics["__transaction_state"] = KafkaTopicFacts(
            partitions: 8,
            replication: 1,
            configuration: ["min.insync.replicas": "1"]
        )
        #expect(try Self.troubles(single) == [])
    }

    @Test func topicSettingsAreChecked() throws {
        // Goal: replicas, in-sync minimum, size of records and leaders, each by itself.
        func changed(_ topic: String, _ body: (inout KafkaTopicFacts) -> Void) throws -> [String] {
            var facts = Self.sound()
            if var known = facts.topics[topic] {
                body(&known)
                facts.topics[topic] = known
            }
            return try Self.troubles(facts)
        }
        #expect(try changed("orders") { $0.replication = 1 } == ["warning replication orders"])
        #expect(try changed("orders") { $0.leaderless = 1 } == ["error leader orders"])
        #expect(
            try changed("orders") { $0.configuration?["cleanup.policy"] = "compact" } == [
                "warning cleanup-policy orders"
            ]
        )
        #expect(
            try changed("risk-alerts") { $0.configuration?["max.message.bytes"] = "1000" }
                == ["warning record-bytes risk-alerts"]
        )
        for (inSync, level) in [("4", "error"), ("3", "warning"), ("1", "warning")] {
            #expect(
                try changed("joined-late") { $0.configuration?["min.insync.replicas"] = inSync }
                    == ["\(level) min-insync-replicas joined-late"]
            )
        }
    }

    @Test func missingTopicsAndUnknownSettings() throws {
        // Goal: a missing source is an error, a missing topic of ours is not; settings that the brokers do
        // not tell are one warning and no error.
        var facts = Self.sound()
        facts.topics["orders"] = nil
        facts.topics["risk-alerts"] = nil
        facts.topics["joined-state-changelog"] = nil
        #expect(try Self.troubles(facts) == ["error topic orders"])
        facts = Self.sound()
        for name in facts.topics.keys { facts.topics[name]?.configuration = nil }
        for index in facts.brokers.indices { facts.brokers[index].configuration = nil }
        facts.refusals = ["Cluster authorization failed."]
        #expect(try Self.troubles(facts) == ["warning settings cluster"])
    }

    @Test func rightsAreTheLeast() throws {
        // Goal: exactly these rights; Create only for what is missing.
        func rights(_ facts: KafkaClusterFacts, _ guarantee: String) throws -> [String] {
            ClusterCheck(try Self.spec(guarantee: guarantee), group: "joined", facts: facts).acls.map {
                "\($0.resource.rawValue) \($0.name)\($0.isPrefix ? "*" : "") "
                    + $0.operations.joined(separator: " ")
            }
        }
        let common = [
            "topic orders Read Describe", "topic refunds Read Describe", "group joined Read",
            "topic risk-alerts Write Describe", "topic joined-dead-letter Write Describe",
            "topic joined-late Write Describe", "topic joined-state-changelog Read Write Describe",
            "topic joined-rulesets Read Write Describe", "topic joined-ruleset-acks Write Describe",
        ]
        #expect(
            try rights(Self.sound(), "exactly-once") == common + ["transactional-id joined-* Write Describe"]
        )
        #expect(try rights(Self.sound(), "at-least-once") == common + ["cluster  IdempotentWrite"])
        var facts = Self.sound()
        facts.topics["risk-alerts"] = nil
        facts.topics["joined-late"] = nil
        let some = try rights(facts, "exactly-once")
        #expect(
            some.contains("topic risk-alerts Write Describe Create") && some.contains("topic joined-* Create")
        )
    }

    @Test func commandsAreOneLineForAShell() throws {
        // Goal: a principal with blanks and quotes stays one word.
        let check = ClusterCheck(try Self.spec(), group: "desk", facts: Self.sound())
        let acl = try #require(check.acls.first { $0.resource == .transactionalId })
        #expect(
            acl.command("h:9092", principal: "User:CN=it's a")
                == "kafka-acls --bootstrap-server h:9092 --add "
                + "--allow-principal 'User:CN=it'\\''s a' --operation Write --operation Describe "
                + "--transactional-id desk- --resource-pattern-type prefixed"
        )
    }

    /// Goal: a table is held to its stream's partitions unless every lane has all of it, and should be
    /// compacted.
    @Test func tables() throws {
        func findings(_ on: String, broadcast: Bool, partitions: Int, policy: String) throws -> [ClusterCheck
            .Finding]
        {
            let text = """
                topology: joined
                sources:
                  orders:
                    kafka: { topic: orders }
                    key: merchant
                    time: { field: at }
                    schema: { merchant: text, buyer: text, at: timestamp }
                  registry:
                    kafka: { topic: registry }
                    time: { field: since }
                    table: { key: name, broadcast: \(broadcast) }
                    schema: { name: text, city: text, since: timestamp }
                steps:
                  placed: { from: orders, key: merchant, join: { table: registry, on: \(on) } }
                sinks:
                  alerts: { kafka: { topic: risk-alerts }, from: placed }
                """
            let (spec, diagnostics) = TopologyReader.read(text, file: "joined.yaml")
            var facts = Self.sound()
            facts.topics["registry"] = KafkaTopicFacts(
                partitions: partitions, replication: 3,
                configuration: ["cleanup.policy": policy, "min.insync.replicas": "2"])
            return ClusterCheck(try #require(spec, "\(diagnostics)"), group: "joined", facts: facts).findings
        }
        func found(_ check: String, _ findings: [ClusterCheck.Finding]) -> [String] {
            findings.filter { $0.check == check && $0.subject != "joined-state-changelog" }.map {
                "\($0.level) \($0.message)"
            }
        }
        var all = try findings("merchant", broadcast: false, partitions: 4, policy: "compact")
        #expect(!all.contains { $0.level == .error })
        #expect(
            found("co-partitioning", all).contains {
                $0.contains("finds table 'registry' ('registry') in its own partition")
            })
        #expect(found("cleanup-policy", all) == [])
        all = try findings("merchant", broadcast: false, partitions: 6, policy: "compact")
        #expect(
            found("co-partitioning", all).contains { $0.hasPrefix("error the sources differ in partitions") })
        all = try findings("buyer", broadcast: false, partitions: 4, policy: "compact")
        #expect(
            found("co-partitioning", all).contains {
                $0.hasPrefix("error step 'placed' joins the table 'registry' on buyer")
            })
        all = try findings("buyer", broadcast: true, partitions: 7, policy: "delete")
        #expect(!all.contains { $0.level == .error })
        #expect(
            found("co-partitioning", all) == [
                "ok step 'placed': every lane reads all of table 'registry' ('registry')"
            ])
        #expect(found("cleanup-policy", all).contains { $0.hasPrefix("warning topic 'registry' of a table") })
    }
}
