import Base
import Engine

/// `replay --bundle` and `replay --activations`: records and rules come out of one file.
enum BundledReplay {
    static func run(_ arguments: Arguments) throws(Fault) -> Int32 {
        let option = arguments.has("--bundle") ? "--bundle" : "--activations"
        if arguments.has("--bundle"), arguments.has("--activations") {
            throw Fault(.user, "--bundle has the activations of its alert; give one of them")
        }
        if arguments.has("--input") {
            throw Fault(
                .user,
                "\(option) has the records itself, with the partitions and offsets by which rules changed: plain files do not say them"
            )
        }
        for other in [
            "--output", "--as-written", "--as-known", "--features", "--at", "--sort-memory", "--batch",
        ]
        where arguments.has(other) {
            throw Fault(.user, "\(other) does not go with \(option)")
        }
        let path = arguments.value(option) ?? ""
        let bundle = try BundleReader.read(path == "-" ? "/dev/stdin" : path)
        if !arguments.files.isEmpty {
            let file = try arguments.file()
            guard let spec = try arguments.topology(file) else { return ExitCode.usage }
            guard spec.name == bundle.topology else {
                throw Fault(
                    .user, "\(path): it is of topology '\(bundle.topology)', and \(file) is '\(spec.name)'")
            }
            if !bundle.rulesets.values.contains(spec.ruleset) {
                Log.info("\(file) is \(spec.ruleset), which was not active: the rules are those of \(path)")
            }
        }
        let replay: BundleReplay
        do throws(Fault) { replay = try BundleReplay(bundle) } catch {
            throw Fault(error.domain, "\(path): \(error.detail)")
        }
        return option == "--bundle" ? try one(bundle, replay, path) : try all(bundle, replay, path)
    }

    private static func one(_ bundle: Bundle, _ replay: BundleReplay, _ path: String) throws(Fault) -> Int32 {
        guard let subject = bundle.subject else {
            throw Fault(
                .user,
                "\(path): it has the rules of '\(bundle.topology)' and no alert; give it as --activations")
        }
        let alerts = try replay.subject()
        let differences = BundleCollector.differences(subject.published, alerts)
        if differences.isEmpty {
            for alert in alerts { put(alert) }
            return ExitCode.done
        }
        for alert in subject.published { put("published: \(alert)") }
        for alert in alerts { put("computed again: \(alert)") }
        for line in differences { say(line) }
        return ExitCode.failed
    }

    private static func all(_ bundle: Bundle, _ replay: BundleReplay, _ path: String) throws(Fault) -> Int32 {
        guard !bundle.logs.isEmpty else {
            throw Fault(
                .user,
                "\(path): it has rules and no records; `millrace rules export \(bundle.topology) --records` writes both"
            )
        }
        if bundle.subject != nil {
            throw Fault(
                .user, "\(path): it has the records of one alert only; give it as --bundle")
        }
        for line in replay.gaps { Log.warning(line) }
        var count = 0
        try replay.alerts { value throws(Fault) in
            count += 1
            Output.raw(String(decoding: value, as: UTF8.self) + "\n")
        }
        Log.info(
            "\(bundle.logs.reduce(0) { $0 + $1.records.count }) records, \(count) alerts, "
                + "\(bundle.rulesets.count) rule sets")
        return ExitCode.done
    }
}
