/// What went wrong, who must act, and whether trying again can help.
package struct Fault: Error, Equatable, CustomStringConvertible {
    package enum Domain: Sendable {
        /// The person who wrote the topology or the command line.
        case user
        /// A machine outside: Kafka, Redis, a disk.
        case external
        /// Us.
        case defect
    }

    package enum Retry: Sendable {
        case never, withBackoff
        /// If nobody else turns out to have this one's name.
        case withoutRival
    }

    package var domain: Domain
    package var retry: Retry
    package var detail: String

    package init(_ domain: Domain, _ detail: String, retry: Retry = .never) {
        self.domain = domain
        self.retry = retry
        self.detail = detail
    }

    package var description: String { detail }
}
