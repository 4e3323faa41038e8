import Base
import Http
import Records
import Synchronization

/// What workers say of themselves at `/metrics`, once a second.
package final class WorkerWatch: Sendable {
    package struct Metrics: Sendable {
        package var topology = ""
        package var at: Int64 = 0
        package var answering = 0
        package var workers = 0
        package var isReady = false
        package var records: Double = 0
        package var alerts: Double = 0
        package var recordsPerSecond: Double?
        package var alertsPerMinute: Double?
        package var lagSeconds: Double?
        package var lagRecords: Double?
        package var p50: Double?
        package var p99: Double?
        package var stateBytes: Double = 0
        package var stateKeys: Double = 0
        package var residentBytes: Double = 0
        /// By source and partition.
        package var partitions:
            [String: (
                source: String, partition: String, lag: Double?, seconds: Double?, watermark: Double?,
                holds: Bool
            )] = [:]
        package var steps: [String: (time: Double?, waiting: Double)] = [:]

        var json: Json {
            .object([
                ("topology", .text(topology)), ("at", .time(at)), ("ready", .bool(isReady)),
                ("workers", .int(Int64(workers))),
                ("answering", .int(Int64(answering))), ("records_per_second", .decimal(recordsPerSecond)),
                ("alerts_per_minute", .decimal(alertsPerMinute)), ("lag_seconds", .decimal(lagSeconds)),
                ("lag_records", .decimal(lagRecords)), ("latency_p50_ms", .decimal(p50)),
                ("latency_p99_ms", .decimal(p99)),
                ("state_bytes", .int(Int64(stateBytes))), ("state_keys", .int(Int64(stateKeys))),
                ("resident_bytes", .int(Int64(residentBytes))),
            ])
        }
    }

    package struct Worker: Sendable {
        package var address: String
        package var isAnswering = false
        package var isReady = false
        package var reason: String?
        package var lanes = 0
        package var stateBytes: Double = 0
        package var residentBytes: Double = 0
    }

    private let addresses: [String]
    private struct State {
        var newest: [String: Metrics] = [:]
        var workers: [Worker] = []
    }
    private let state = Mutex(State())

    /// `http://host:port`, each.
    package init(_ addresses: [String]) { self.addresses = addresses }

    package var isAny: Bool { !addresses.isEmpty }
    package var workers: [Worker] { state.withLock { $0.workers } }
    package subscript(topology: String) -> Metrics? { state.withLock { $0.newest[topology] } }

    /// Asks each of them. `only`: the topology of a worker that does not say its name, as those do that run a
    /// single one.
    package func look(now: Int64, only: String) -> [Metrics] {
        if addresses.isEmpty { return [] }
        var found: [String: Metrics] = [:]
        var workers: [Worker] = []
        var buckets: [String: [Double: Double]] = [:]
        for address in addresses {
            var worker = Worker(address: address)
            defer { workers.append(worker) }
            guard let client = try? HttpClient(timeoutMilliseconds: 900),
                let page = try? client.send(HttpRequest("GET", "\(address)/metrics")),
                page.status == 200
            else { continue }
            worker.isAnswering = true
            for line in String(decoding: page.body, as: UTF8.self).split(separator: "\n")
            where !line.hasPrefix("#") {
                guard let sample = Self.sample(line) else { continue }
                let topology = sample.labels["topology"] ?? only
                Self.add(
                    sample, to: &found[topology, default: Metrics()], &worker,
                    &buckets[topology, default: [:]])
            }
            for topology in found.keys { found[topology]?.answering += 1 }
        }
        for topology in found.keys {
            found[topology]?.topology = topology
            found[topology]?.at = now
            found[topology]?.workers = addresses.count
            found[topology]?.p50 = Self.quantile(0.5, buckets[topology] ?? [:])
            found[topology]?.p99 = Self.quantile(0.99, buckets[topology] ?? [:])
        }
        state.withLock { state in
            for (topology, metrics) in found {
                guard let before = state.newest[topology], now > before.at, metrics.records >= before.records
                else { continue }
                found[topology]?.recordsPerSecond =
                    (metrics.records - before.records) * 1000 / Double(now - before.at)
                found[topology]?.alertsPerMinute =
                    (metrics.alerts - before.alerts) * 60_000 / Double(now - before.at)
            }
            state.newest = found
            state.workers = workers
        }
        return found.values.sorted { $0.topology < $1.topology }
    }

    private static func add(
        _ sample: (name: String, labels: [String: String], value: Double), to metrics: inout Metrics,
        _ worker: inout Worker,
        _ buckets: inout [Double: Double]
    ) {
        let value = sample.value
        let place = "\(sample.labels["source"] ?? "")/\(sample.labels["partition"] ?? "")"
        func partition(
            _ body: (
                inout (
                    source: String, partition: String, lag: Double?, seconds: Double?, watermark: Double?,
                    holds: Bool
                )
            ) -> Void
        ) {
            body(
                &metrics.partitions[
                    place,
                    default: (
                        sample.labels["source"] ?? "", sample.labels["partition"] ?? "", nil, nil, nil, false
                    )])
        }
        switch sample.name {
        case "millrace_ready":
            worker.isReady = value == 1
            metrics.isReady = value == 1
        case "millrace_records_in_total": metrics.records += value
        case "millrace_alerts_total": metrics.alerts += value
        case "millrace_lanes": worker.lanes += Int(value)
        case "millrace_state_bytes":
            worker.stateBytes += value
            metrics.stateBytes += value
        case "millrace_state_keys": metrics.stateKeys += value
        case "millrace_resident_memory_bytes":
            worker.residentBytes += value
            metrics.residentBytes += value
        case "millrace_consumer_lag_records":
            metrics.lagRecords = (metrics.lagRecords ?? 0) + value
            partition { $0.lag = value }
        case "millrace_consumer_lag_seconds":
            metrics.lagSeconds = max(metrics.lagSeconds ?? 0, value)
            partition { $0.seconds = value }
        case "millrace_watermark_seconds": partition { $0.watermark = value }
        case "millrace_watermark_holder": partition { $0.holds = true }
        case "millrace_step_event_time_seconds":
            metrics.steps[sample.labels["step"] ?? "", default: (nil, 0)].time = value
        case "millrace_step_waiting_rows":
            metrics.steps[sample.labels["step"] ?? "", default: (nil, 0)].waiting += value
        case "millrace_alert_latency_seconds_bucket":
            let bound =
                sample.labels["le"] == "+Inf"
                ? Double.infinity : Double(sample.labels["le"] ?? "") ?? .infinity
            buckets[bound, default: 0] += value
        default: break
        }
    }

    /// The bound of the bucket that it falls into, milliseconds.
    private static func quantile(_ share: Double, _ buckets: [Double: Double]) -> Double? {
        let sorted = buckets.sorted { $0.key < $1.key }
        guard let total = sorted.last?.value, total > 0 else { return nil }
        guard let bucket = sorted.first(where: { $0.value >= share * total }), bucket.key.isFinite else {
            return nil
        }
        return bucket.key * 1000
    }

    /// `name{label="value",…} 1.5`
    static func sample(_ line: Substring) -> (name: String, labels: [String: String], value: Double)? {
        guard let blank = line.lastIndex(of: " "), let value = Double(line[line.index(after: blank)...])
        else { return nil }
        let head = line[..<blank]
        guard let brace = head.firstIndex(of: "{") else { return (String(head), [:], value) }
        var labels: [String: String] = [:]
        for part in head[head.index(after: brace)...].dropLast().split(separator: ",") {
            guard let equals = part.firstIndex(of: "=") else { continue }
            labels[String(part[..<equals])] = String(
                part[part.index(after: equals)...].dropFirst().dropLast())
        }
        return (String(head[..<brace]), labels, value)
    }
}
