import Glibc

/// Faults that tests plant to prove that they would be found, and points at which they kill the process. Both
/// come from the environment, in builds for tests only: `MILLRACE_PLANT=offsets-first`,
/// `MILLRACE_KILL_AT=commit-sent:3` (SIGKILL at the third pass).
package enum Plant {
    package enum Mistake: String, CaseIterable, Sendable {
        /// Positions become durable before the outputs do.
        case offsetsFirst = "offsets-first"
        /// A commit of unknown outcome is taken for a success, and its producer goes on.
        case producerKept = "producer-kept"
    }

    package enum Point: String, Sendable {
        case restore
        case commitBegin = "commit-begin"
        case commitSent = "commit-sent"
        case commitOffsets = "commit-offsets"
        case committed
        case snapshotWrite = "snapshot-write"
        case snapshotRename = "snapshot-rename"
    }

    #if VERIFY
        private static let mistake = getenv("MILLRACE_PLANT").flatMap {
            Mistake(rawValue: String(cString: $0))
        }
        private static let kill: (point: Point, pass: Int)? = getenv("MILLRACE_KILL_AT").flatMap { text in
            let parts = String(cString: text).split(separator: ":")
            guard parts.count == 2, let point = Point(rawValue: String(parts[0])), let pass = Int(parts[1])
            else { return nil }
            return (point, pass)
        }
        private static let passes = Passes()

        package static func isOn(_ wanted: Mistake) -> Bool { mistake == wanted }

        /// One of the points was reached.
        package static func pass(_ point: Point) {
            guard let kill, kill.point == point, passes.next() == kill.pass else { return }
            Glibc.kill(getpid(), SIGKILL)
        }
    #else
        @inlinable package static func isOn(_ wanted: Mistake) -> Bool { false }
        @inlinable package static func pass(_ point: Point) {}
    #endif
}

#if VERIFY
    import Synchronization

    private final class Passes: Sendable {
        private let count = Atomic<Int>(0)
        func next() -> Int { count.add(1, ordering: .relaxed).newValue }
    }
#endif
