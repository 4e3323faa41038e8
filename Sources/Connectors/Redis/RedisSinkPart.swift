import Base
import Dataflow
import Records
import Topology

/// `redis: { key, ttl, url }`, written by `RedisSink`.
package struct RedisSinkPart: RunnableSink, SinkPart {
    package static let key = "redis"
    package static let example = "redis: { key: \"merchant:{merchant_id}\", ttl: 2d }"
    package static let reference = """
        `redis: { key: "merchant:{merchant_id}", ttl: 2d }`: a hash for each key of the steps in `from`, which
        have windows, with what the windows hold now as `step.result`, `step.window_start` and
        `step.window_end`. After a commit those of the keys that changed are written, the newest only; while
        Redis is away they wait. After a restart all are written again.

        | key | |
        |---|---|
        | `key` | has each key field of the steps in it: `{merchant_id}` |
        | `ttl` | how long a hash lives after it was written |
        \(RedisServerSpec.reference)

        Without `url`, `sentinel`, `cluster` and `--redis` the sink is left out. A Redis that is away, refuses the log-in or shows a
        certificate that is not to be trusted (wrong name, expired, signed by somebody else) is one line in the log, and one when it is
        back; alerts do not wait for it.
        """

    package let metrics: HotMetrics
    package let server: RedisServerSpec

    package var delivery: SinkDelivery { .metrics(metrics) }
    package var shown: String { "Redis at \(metrics.key.pattern) for \(ValueText.duration(metrics.ttl))" }
    package var logic: String { "redis \(metrics.key.logic) \(metrics.ttl)" }

    package func open(_ context: SinkContext) throws(Fault) -> RunningSink? {
        guard let address = try RedisAddress.of(server) ?? context.redis else {
            Log.warning(
                "sink '\(context.name)' is left out: no Redis was named (redis: { url: … } or --redis)")
            return nil
        }
        return .metrics(try RedisSink(address))
    }

    // MARK: Reading

    package static func read(_ node: YamlNode, _ scope: SinkScope) -> Self? {
        let context = scope.context
        guard let redis = scope.mapping(node, of: Self.self, keys: ["key", "ttl"] + RedisServerSpec.keys)
        else {
            return nil
        }
        let pattern = redis.requiredText("key", example: "key: \"merchant:{merchant_id}\"")
        let ttl = redis.required("ttl", example: "ttl: 2d").flatMap { context.duration($0, "ttl", least: 1) }
        let server = RedisServerSpec.read(redis, context)
        guard case .steps(let drafts) = scope.input else {
            context.error(
                scope.position,
                "\(scope.what) needs 'from'; Redis takes the results of steps with a window, like "
                    + "from: [today]")
            return nil
        }
        for draft in drafts where !draft.hasWindow {
            context.error(
                scope.inputPosition,
                "step \(draft.name) has no window; Redis takes the results of steps with a window")
        }
        guard let pattern, let parts = keyParts(pattern, drafts.filter(\.hasWindow), context), let ttl
        else { return nil }
        guard let server else { return nil }
        do throws(Fault) { _ = try RedisAddress.of(server) } catch {
            context.error(redis["url"]?.position ?? scope.position, error.detail)
            return nil
        }
        return Self(metrics: HotMetrics(key: parts, ttl: ttl), server: server)
    }

    private static func keyParts(
        _ pattern: ScalarText, _ drafts: [StepDraft], _ context: ReadingContext
    ) -> [KeyPart]? {
        var named: Set<String> = []
        let result = context.keyParts(pattern) { name, text in
            for draft in drafts {
                guard let key = draft.key, !key.contains(name) else { continue }
                context.error(
                    text.position,
                    "step \(draft.name) has no key field "
                        + "'\(text.shown)'\(NearestName.hint(name, among: key))")
                return false
            }
            named.insert(name)
            return true
        }
        guard let result else { return nil }
        for draft in drafts {
            guard let missing = draft.key?.first(where: { !named.contains($0) }) else { continue }
            context.error(
                pattern.position,
                "the key leaves out '\(missing)', so different keys of step \(draft.name) would share "
                    + "one entry; write {\(missing)} in it")
            return nil
        }
        return result
    }
}
