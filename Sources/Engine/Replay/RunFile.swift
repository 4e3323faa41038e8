import Base
import Connectors
import Glibc
import Records

/// Sorted runs of records in a temporary file that has no name, so that nothing is left of it, however the
/// process ends.
final class RunFile {
    /// Of a record in the file; its bytes follow.
    struct Head {
        var time: Int64
        var number: Int64
        /// -1: the record has no bytes, and is nothing.
        var keptCount: Int32
        var count: Int32
        var header: Int32

        static let size = MemoryLayout<Head>.size
    }

    private let headBytes = Arena(capacity: Head.size)
    private let descriptor: Int32
    private let writer: FileWriter
    private let place: String
    private var end: Int64 = 0
    private(set) var runs: [Range<Int64>] = []

    /// In the folder that TMPDIR names, else /tmp.
    init() throws(Fault) {
        let named = getenv("TMPDIR").map { String(cString: $0) } ?? ""
        let folder = named.isEmpty ? "/tmp" : named
        place = "\(folder) (temporary file of a sort; TMPDIR names another folder)"
        var template = Array("\(folder)/millrace-sort-XXXXXX".utf8CString)
        descriptor = mkstemp(&template)
        guard descriptor >= 0 else { throw Fault(.external, "\(place): \(String(cString: strerror(errno)))") }
        unlink(template)
        writer = FileWriter(descriptor: descriptor, named: place)
    }

    deinit { close(descriptor) }

    /// Adds the records of a buffer, which is sorted, as a run.
    func add(_ buffer: RecordBuffer) throws(Fault) {
        let start = end
        for entry in buffer.entries {
            let head = Head(
                time: entry.time, number: entry.number, keptCount: entry.bytes == nil ? -1 : entry.keptCount,
                count: entry.count, header: entry.header)
            UnsafeMutableRawPointer(headBytes.base).storeBytes(of: head, as: Head.self)
            try writer.write(UnsafeBufferPointer(start: UnsafePointer(headBytes.base), count: Head.size))
            let count = entry.bytes == nil ? 0 : Int(entry.keptCount)
            try writer.write(UnsafeBufferPointer(start: entry.bytes, count: count))
            end += Int64(Head.size + count)
        }
        try writer.flush()
        runs.append(start..<end)
    }

    /// Reads up to `count` bytes from `offset`; all of them, since they were written.
    fileprivate func read(into bytes: UnsafeMutablePointer<UInt8>, _ count: Int, at offset: Int64)
        throws(Fault)
    {
        var done = 0
        while done < count {
            let got = pread(descriptor, bytes + done, count - done, off_t(offset) + off_t(done))
            if got > 0 { done += got }
            if got < 0, errno == EINTR { continue }
            if got <= 0 {
                throw Fault(
                    .external,
                    "\(place): \(got == 0 ? "it is shorter than it was" : String(cString: strerror(errno)))")
            }
        }
    }
}

/// Reads one run of a file from its beginning to its end.
final class RunCursor {
    private let file: RunFile
    private var rest: Range<Int64>
    private let buffer: Arena
    private var next = 0
    /// The record that it stands at; its bytes are there until `advance`.
    private(set) var entry = RecordBuffer.Entry(
        time: 0, number: 0, bytes: nil, keptCount: 0, count: 0, header: -1)

    init(_ file: RunFile, run: Int, bufferBytes: Int) {
        self.file = file
        rest = file.runs[run]
        buffer = Arena(capacity: bufferBytes)
    }

    /// Goes on to the next record; false at the end.
    func advance() throws(Fault) -> Bool {
        let headBytes = RunFile.Head.size
        if buffer.count - next < headBytes {
            if try !fill(headBytes) { return false }
        }
        var head = UnsafeRawPointer(buffer.base + next).loadUnaligned(as: RunFile.Head.self)
        let isNothing = head.keptCount < 0
        head.keptCount = max(0, head.keptCount)
        let needed = headBytes + Int(head.keptCount)
        if buffer.count - next < needed { _ = try fill(needed) }
        entry = RecordBuffer.Entry(
            time: head.time, number: head.number,
            bytes: isNothing ? nil : UnsafePointer(buffer.base + next + headBytes),
            keptCount: head.keptCount, count: head.count, header: head.header)
        next += needed
        return true
    }

    /// Reads on until there are `needed` bytes; false if nothing is left.
    private func fill(_ needed: Int) throws(Fault) -> Bool {
        let kept = buffer.count - next
        if kept == 0, rest.isEmpty { return false }
        buffer.base.update(from: buffer.base + next, count: kept)
        buffer.count = kept
        next = 0
        buffer.reserve(max(0, needed - kept))
        let count = min(buffer.capacity - kept, Int(rest.upperBound - rest.lowerBound))
        try file.read(into: buffer.base + kept, count, at: rest.lowerBound)
        buffer.count += count
        rest = rest.lowerBound + Int64(count)..<rest.upperBound
        return true
    }
}

/// The records of all runs of a file, in order: a heap of the runs by the record that each stands at.
final class RunMerge {
    private var heap: [RunCursor] = []

    /// `bytesMax`: for the buffers of all runs; each has at least 16 KiB and its longest record.
    init(_ file: RunFile, bytesMax: Int) throws(Fault) {
        let bufferBytes = min(4 << 20, max(16 << 10, bytesMax / max(1, file.runs.count)))
        for run in file.runs.indices {
            let cursor = RunCursor(file, run: run, bufferBytes: bufferBytes)
            if try cursor.advance() { heap.append(cursor) }
        }
        for place in heap.indices.reversed() { sink(place) }
    }

    /// The next record; its bytes are there until `advance`.
    var first: RecordBuffer.Entry? { heap.first?.entry }

    func advance() throws(Fault) {
        if try !heap[0].advance() {
            heap.swapAt(0, heap.count - 1)
            heap.removeLast()
        }
        if !heap.isEmpty { sink(0) }
    }

    private func sink(_ start: Int) {
        var place = start
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2] where child < heap.count {
                if RecordBuffer.Entry.isBefore(heap[child].entry, heap[least].entry) { least = child }
            }
            if least == place { return }
            heap.swapAt(place, least)
            place = least
        }
    }
}
