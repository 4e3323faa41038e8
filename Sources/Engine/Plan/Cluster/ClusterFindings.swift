/// What was found, in the order of the checks.
struct ClusterFindings: Sendable {
    private(set) var all: [ClusterCheck.Finding] = []

    mutating func add(
        _ level: ClusterCheck.Level,
        _ check: String,
        _ subject: String,
        _ message: String
    ) {
        all.append(ClusterCheck.Finding(level: level, check: check, subject: subject, message: message))
    }
}
