import Base
import Glibc

/// Progress of long work: a line that is drawn over on a terminal, plain lines elsewhere.
final class Progress {
    private var begin = monotonicNanoseconds()
    private var last: Int64 = 0
    private var title = ""
    private let isTerminal = isatty(2) == 1

    /// `total` 0: not known. What has another title begins anew.
    func show(_ done: Int64, of total: Int64, records: Int64, _ title: String = "") {
        let now = monotonicNanoseconds()
        if title != self.title { (self.title, begin) = (title, now) }
        guard now - last > (isTerminal ? 200_000_000 : 5_000_000_000), now - begin > 1_000_000_000 else {
            return
        }
        last = now
        let seconds = Double(now - begin) / 1e9
        var text = "\(title)\(records) records, \(Int(Double(records) / seconds)) records/s"
        if total > 0 {
            let share = min(1, Double(done) / Double(total))
            let rest = share > 0.01 ? ", \(Int(seconds / share - seconds)) s left" : ""
            text += ", \(Int(share * 100)) %\(rest)"
        }
        if isTerminal { Output.tell("\r\u{1B}[K\(text)") } else { Log.info(text) }
    }

    func finish() { if isTerminal, last > 0 { Output.tell("\r\u{1B}[K") } }
}
