import Base
import Connectors
import Dataflow
import Engine
import Foundation
import Records
import Testing
import Topology

/// Rules that change while workers run, on a real Kafka.
@Suite(.serialized, .enabled(if: KafkaCluster.isAvailable, KafkaCluster.missing)) struct RuleChangeTests {
    private let rig: RuleChangeRig

    init() throws { rig = try RuleChangeRig(partitions: 8) }

    /// Goal: whatever dies while rules change, each alert is what the acknowledgements say: of the rules of
    /// its epoch, none lost, none twice. Method: records and activations come, workers are killed; what was
    /// published read committed equals a replay of each task's records that switches where it said so.
    @Test func alertsAreThoseOfTheirEpochWhateverDies() throws {
        var random = SplitMix64(seed: RuleChangeRig.seed)
        print("seed \(RuleChangeRig.seed)")
        var workers = try (0..<2).map { try rig.startWorker("w\($0)") }
        defer { for worker in workers { worker.kill() } }
        #expect(CrashRun.wait(seconds: 120) { workers.allSatisfy { $0.isReady } })
        var deployed = 0
        var kills = 0
        for turn in 0..<12 {
            try rig.feed(400, &random)
            let text = rig.variant(&random)
            let result = try rig.deploy(text)
            // Nobody answers for the tasks of a worker that was just killed: then nothing changes, and it is
            // said.
            #expect(
                result.code == 0 || result.errors.contains("have not answered")
                    || result.errors.contains("so far"), "\(result.errors)")
            if result.code == 0 { deployed += 1 }
            guard turn % 2 == 1 else { continue }
            let victim = Int(random.next() % 2)
            if turn % 4 == 3 {
                // In the middle of a deployment.
                let background = try rig.deployInBackground(rig.variant(&random))
                usleep(UInt32(random.next() % 700_000))
                workers[victim].kill()
                background.waitUntilExit()
            } else {
                workers[victim].kill()
            }
            kills += 1
            try workers[victim].start()
            #expect(CrashRun.wait(seconds: 120) { workers.allSatisfy { $0.isReady } })
        }
        try rig.flush()
        #expect(CrashRun.wait(seconds: 120) { (try? rig.isRead()) == true })
        for worker in workers { #expect(worker.terminate(seconds: 60) == .exit(0), "\(worker.lastWords)") }
        workers = []
        print("\(deployed) activations, \(kills) kills")
        #expect(deployed >= 4)
        try rig.compare()
        try rig.bundleSome(4, &random)
    }

    /// Goal: a limit that goes down raises what is above it already, without a new record; raised alerts of a
    /// rule that goes are each cleared once; what a worker cannot take over is refused, and nothing changes;
    /// two who deploy at once: one wins.
    @Test func aLifeOfRules() throws {
        let workers = try (0..<2).map { try rig.startWorker("w\($0)") }
        defer { for worker in workers { worker.kill() } }
        #expect(CrashRun.wait(seconds: 120) { workers.allSatisfy { $0.isReady } })
        try rig.feedPlainly(shops: 40, each: 5)
        #expect(CrashRun.wait(seconds: 120) { (try? rig.isRead()) == true })
        #expect(try rig.alerts().isEmpty)
        let pids = workers.map(\.process)

        // What it would come to is known beforehand, and too many alerts need a word.
        var result = try rig.deploy(rig.text(burst: 5), "--alerts-max 39")
        #expect(
            result.code != 0 && result.output.contains("would raise 40 alerts and clear 0 at once")
                && result.errors.contains("--alerts-max 40 agrees to it; nothing was changed"), "\(result)")
        #expect(try rig.alerts().isEmpty)
        result = try rig.deploy(rig.text(burst: 5), "--alerts-max 40")
        #expect(
            result.code == 0 && result.output.contains("would raise 40 alerts and clear 0 at once")
                && result.output.contains("8 of 8 tasks go on with it")
                && result.output.contains("raised 40, cleared 0"), "\(result)")
        let raised = try rig.alerts()
        #expect(
            raised.count == 40
                && raised.allSatisfy {
                    $0.contains("\"epoch\":1,") && $0.contains("\"reason\":\"activation\"")
                })

        result = try rig.deploy(rig.text(burst: 5, extra: "window: { size: 20s, slide: 4s }"))
        #expect(
            result.code != 0 && result.errors.contains("nothing was changed")
                && result.errors.contains("warm-start"), "\(result)")
        result = try rig.deploy(rig.text(burst: 5).replacing("n >= 5", with: "m >= 5"))
        #expect(result.code == 2 && result.errors.contains("'m'"), "\(result)")
        result = try rig.deploy(rig.text(burst: nil))
        #expect(result.code == 0 && result.output.contains("raised 0, cleared 40"), "\(result)")
        #expect(try rig.alerts().count { $0.contains("rule-removed") } == 40)

        result = try rig.program.shell(
            "$MILLRACE deploy --rollback 1 \(rig.group) --bootstrap-server \(rig.bootstrapServers)")
        #expect(
            result.code == 0 && result.output.contains("epoch 3")
                && result.output.contains("raised 40, cleared 0"), "\(result)")

        let both = try (0..<2).map { try rig.deployInBackground(rig.text(burst: 6 + $0)) }
        for process in both { process.waitUntilExit() }
        #expect(both.filter { $0.terminationStatus == 0 }.count >= 1)
        let status = try rig.program.shell(
            "$MILLRACE deploy --status \(rig.group) --bootstrap-server \(rig.bootstrapServers) --json")
        let winners = Int64(both.filter { $0.terminationStatus == 0 }.count)
        #expect(status.code == 0 && status.output.contains("\"epoch\":\(3 + winners),"), "\(status)")
        #expect(workers.map(\.process) == pids && workers.allSatisfy { $0.isRunning })
        for worker in workers { #expect(worker.terminate(seconds: 60) == .exit(0), "\(worker.lastWords)") }
        try rig.compare()
    }
}
