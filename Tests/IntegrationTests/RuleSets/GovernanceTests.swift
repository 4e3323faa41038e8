import Base
import Connectors
import Engine
import Foundation
import Testing

/// Who may change rules, on a real Kafka. Goal: nothing that goes around the policy is run by a worker, and
/// all that was done is in the audit. Method: keys by OpenSSL; a change without approval, with it, one forged
/// by who may write to the topic, one deployed under another policy, and back again.
@Suite(.serialized, .enabled(if: KafkaCluster.isAvailable, KafkaCluster.missing)) struct GovernanceTests {
    @Test func onlyWhatOthersAgreedToIsRun() throws {
        let rig = try RuleChangeRig(partitions: 2)
        let made = try rig.program.shell(
            """
            for name in lin wang; do openssl genpkey -algorithm ed25519 -out $name.key && openssl pkey -in $name.key -pubout -out $name.pub; done
            """)
        try #require(made.code == 0, "\(made.errors)")
        try rig.program.write(
            "policy.yaml",
            """
            approvals: 1
            people:
              lin: { key: lin.pub, duties: [author] }
              wang: { key: wang.pub, duties: [approver, operator] }
            """)
        let worker = try rig.startWorker("w0", ["--policy", "\(rig.program.folder)/policy.yaml"])
        defer { worker.kill() }
        try #require(CrashRun.wait(seconds: 60) { worker.isReady }, "\(worker.lastWords)")
        let lin = "--author lin --key lin.key --policy policy.yaml"
        let wang = "--author wang --key wang.key --policy policy.yaml"
        let kafka = "--bootstrap-server \(rig.bootstrapServers)"

        let text = rig.text(burst: 5)
        var result = try rig.deploy(text)
        #expect(result.code != 0 && result.errors.contains("policy of its own"), "\(result.errors)")
        result = try rig.deploy(text, lin)
        #expect(result.code == 1 && result.errors.contains("1 more must approve it"), "\(result.errors)")
        result = try rig.program.shell("$MILLRACE rules list \(rig.group) \(kafka) --policy policy.yaml")
        #expect(
            result.output.contains("epoch 0") && result.output.contains("lin, no approval, 1 missing"),
            "\(result.output)")
        let word = result.output.split(separator: " ").first { $0.hasPrefix("sha256:") }
        let hash = String(try #require(word).prefix(20))
        result = try rig.program.shell("$MILLRACE rules approve \(rig.group) \(hash) \(lin) \(kafka)")
        #expect(
            result.code != 0 && result.errors.contains("somebody else must approve it"), "\(result.errors)")
        result = try rig.program.shell("$MILLRACE rules approve \(rig.group) \(hash) \(wang) \(kafka)")
        #expect(
            result.code == 0 && result.output.contains("it may be deployed"),
            "\(result.output)\(result.errors)")
        result = try rig.deploy(text, lin)
        #expect(result.code == 0 && result.output.contains("epoch 1"), "\(result.output)\(result.errors)")

        // Who may write to the topic makes something up: the worker says so, and goes on.
        let feeder = try KafkaFeeder(KafkaSettings(bootstrapServers: rig.bootstrapServers, group: ""))
        let epochs = try rig.program.shell(
            "$MILLRACE rules list \(rig.group) \(kafka) --policy policy.yaml --json"
        ).output
        let ruleset = try #require(epochs.firstMatch(of: /"ruleset":"(sha256:[0-9a-f]+)"/)?.1)
        try feeder.send(
            to: feeder.topic("\(rig.group)-rulesets"), key: "activation/2",
            value: """
                {"epoch":2,"previous":1,"ruleset":"\(ruleset)","logic":"sha256:x","author":"lin","reason":"","at":"2026-01-01T00:00:00Z"}
                """)
        try feeder.flush()
        #expect(
            CrashRun.wait(seconds: 30) {
                (try? String(contentsOfFile: worker.log, encoding: .utf8))?.contains(
                    "does not count: it is not signed by lin") == true
            }, "\(worker.lastWords)")
        result = try rig.program.shell("$MILLRACE deploy --status \(rig.group) \(kafka) --policy policy.yaml")
        #expect(result.code == 0 && result.output.contains("epoch 1"), "\(result.output)\(result.errors)")

        // The next one takes the place of what was forged.
        let next = rig.text(burst: 7)
        _ = try rig.deploy(next, lin)
        result = try rig.program.shell("$MILLRACE rules list \(rig.group) \(kafka) --policy policy.yaml")
        let proposed = try #require(result.output.split(separator: "\n").last { $0.contains("proposed") })
        let other = try #require(proposed.split(separator: " ").first { $0.hasPrefix("sha256:") })
        result = try rig.program.shell("$MILLRACE rules approve \(rig.group) \(other) \(wang) \(kafka)")
        #expect(result.code == 0, "\(result.errors)")
        result = try rig.deploy(next, lin)
        #expect(result.code == 0 && result.output.contains("epoch 2"), "\(result.output)\(result.errors)")
        result = try rig.program.shell("$MILLRACE deploy --rollback \(rig.group) 1 \(wang) \(kafka)")
        #expect(result.code == 0 && result.output.contains("epoch 3"), "\(result.output)\(result.errors)")

        result = try rig.program.shell("$MILLRACE audit verify \(rig.group) \(kafka)")
        #expect(
            result.code == 0 && result.output.contains("7 records, none changed or missing"),
            "\(result.output)\(result.errors)")
        result = try rig.program.shell(
            "$MILLRACE audit list \(rig.group) \(kafka) --json > audit.jsonl; sed -i 's/approve/Approve/' audit.jsonl; "
                + "$MILLRACE audit verify --file audit.jsonl")
        #expect(
            result.code == 1 && result.errors.contains("record 2 or what record 3 says"), "\(result.errors)")
        #expect(worker.terminate(seconds: 60) == .exit(0), "\(worker.lastWords)")
    }
}
