import Base
import Dataflow
import Engine
import Glibc
import Records

/// Looks at the lanes while a load runs, so that a stall can be told from what they were doing.
struct LatencyWatch {
    private struct Look {
        var time: Int64
        /// Since the look before; more than a few milliseconds: this thread was not run either.
        var gap: Int64
        var lanes: [(phase: LanePhase.Phase, milliseconds: Int64)]
        var lag: Int64
        var commits: Int64
        var partitions: Int
        /// Nanoseconds of this process.
        var cpu: Int64
        var machine: MachineCpu
    }

    private static let everyMilliseconds: Int64 = 20
    private static let spellsMax = 5
    /// Slow alerts that are due within so long of one another are one spell.
    private static let togetherMilliseconds: Int64 = 1000
    private var looks: [Look] = []

    mutating func look(at worker: Worker) {
        let now = SystemClock().nowMilliseconds
        let gap = now - (looks.last?.time ?? now)
        guard looks.isEmpty || gap >= Self.everyMilliseconds else { return }
        let statuses = worker.statuses
        var lag: Int64 = 0
        for status in statuses { for partition in status.partitions { lag += partition.lagRecords ?? 0 } }
        looks.append(
            Look(
                time: now, gap: gap, lanes: worker.lanePhases,
                lag: lag, commits: statuses.reduce(0) { $0 + $1.commits },
                partitions: statuses.reduce(0) { $0 + $1.partitions.count }, cpu: BenchClock.cpuNanoseconds(),
                machine: MachineCpu.now))
    }

    /// Who had the cores between the two.
    private func cores(_ first: Look, _ last: Look) -> [String] {
        let ticks = Double(last.machine.all - first.machine.all)
        let seconds = Double(last.time - first.time) / 1000
        guard ticks > 0, seconds > 0 else { return [] }
        let count = ticks / Double(sysconf(Int32(_SC_CLK_TCK))) / seconds
        let own = Double(last.cpu - first.cpu) / 1e9 / seconds
        let busy = Double(last.machine.busy - first.machine.busy) / ticks * count
        let stolen = Double(last.machine.stolen - first.machine.stolen) / ticks * count
        func shown(_ number: Double) -> String {
            Decimal.string(Int64((max(0, number) * 100).rounded()), scale: 2)
        }
        return ["cores: own \(shown(own)), others \(shown(busy - own)), stolen \(shown(stolen))"]
    }

    private struct Spell {
        var from: Int64
        var to: Int64
        var worst: Int64
        var alerts = 1
    }

    /// The worst spells of alerts that took longer than three times the median and than all but a hundredth.
    func explain(_ run: LatencyRun, senderBehind: [Int64]) -> [String] {
        guard !run.load.isFlatOut else { return [] }
        let limit = Int64(max(3 * run.latency.quantile(0.5), run.latency.quantile(0.99)) * 1000)
        var spells: [Spell] = []
        for alert in run.alerts.sorted(by: { $0.due < $1.due }) where alert.milliseconds > limit {
            let end = alert.due + alert.milliseconds
            if let last = spells.last, alert.due - last.to < Self.togetherMilliseconds {
                spells[spells.count - 1].to = max(last.to, end)
                spells[spells.count - 1].worst = max(last.worst, alert.milliseconds)
                spells[spells.count - 1].alerts += 1
            } else {
                spells.append(Spell(from: alert.due, to: end, worst: alert.milliseconds))
            }
        }
        return spells.sorted { $0.worst > $1.worst }.prefix(Self.spellsMax).map {
            text($0, run.begin, senderBehind)
        }
    }

    private func text(_ spell: Spell, _ begin: Int64, _ senderBehind: [Int64]) -> String {
        let during = looks.filter { $0.time >= spell.from && $0.time <= spell.to + Self.everyMilliseconds }
        let tenths = (spell.from - begin) / 100
        var words = [
            "after \(tenths / 10).\(tenths % 10) s for \(spell.to - spell.from) ms", "\(spell.alerts) alerts",
            "worst \(spell.worst) ms",
        ]
        for lane in 0..<(during.map(\.lanes.count).max() ?? 0) {
            let longest = during.filter { lane < $0.lanes.count }.map { $0.lanes[lane] }
                .max { $0.milliseconds < $1.milliseconds }
            guard let longest else { continue }
            words.append("lane \(lane) at most \(longest.milliseconds) ms in \(longest.phase)")
        }
        if let first = during.first, let last = during.last {
            words.append("\(last.commits - first.commits) commits")
            words.append("backlog up to \(during.map(\.lag).max() ?? 0) records")
            if during.contains(where: { $0.partitions != first.partitions }) { words.append("a rebalance") }
            words += cores(first, last)
            let gap = during.map(\.gap).max() ?? 0
            if gap > 5 * Self.everyMilliseconds {
                words.append("the watching thread was not run for \(gap) ms")
            }
        }
        let seconds = max(0, Int((spell.from - begin) / 1000))...max(0, Int((spell.to - begin) / 1000))
        let behind =
            senderBehind.enumerated().filter { seconds.contains($0.offset) }.map(\.element).max() ?? 0
        words.append("sender \(behind) ms behind")
        return words.joined(separator: ", ")
    }
}

/// Ticks of all cores since the machine started.
private struct MachineCpu {
    var all: Int64 = 0
    var busy: Int64 = 0
    var stolen: Int64 = 0

    static var now: MachineCpu {
        var cpu = MachineCpu()
        guard let line = (try? FileText.read("/proc/stat"))?.split(separator: "\n").first else { return cpu }
        // user, nice, system, idle, waiting, interrupts, soft interrupts, stolen
        let ticks = line.split(separator: " ").dropFirst().prefix(8).map { Int64($0) ?? 0 }
        guard ticks.count == 8 else { return cpu }
        cpu.all = ticks.reduce(0, +)
        cpu.stolen = ticks[7]
        cpu.busy = cpu.all - ticks[3] - ticks[4] - cpu.stolen
        return cpu
    }
}
