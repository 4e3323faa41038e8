import Base
import Connectors
import Formats
import Records

/// The records of one input as `replay` takes them: in the order of their event times, or as they are
/// written.
///
/// To be put into order, an input is read once before anything is computed of it. Up to `bytesMax` bytes are
/// kept in memory and sorted there. A longer one that proves to be in order already is read again, unless it
/// is a pipe; any other is cut into sorted runs in a temporary file, which are merged. The order does not
/// depend on which it was.
final class OrderedInput {
    struct Block {
        var records: RawRecords
        /// Event time of each, as `EventTimes` has it; empty if nobody asked.
        var times: [Int64]
        /// The header of these records, where it differs from that of the block before.
        var header: FileSource.Header?
    }

    private enum Origin {
        /// `left`: records that are still taken.
        case file(FileSource, left: Int64)
        case memory(RecordBuffer, next: Int)
        case runs(RunMerge)
    }

    /// The files that it is made of.
    let paths: [String]
    private let open: () throws(Fault) -> FileSource
    private let eventTimes: EventTimes
    private var headerCheck: HeaderCheck
    /// Warnings that were shown; a file may be read twice.
    private var warnings: Set<String> = []
    private let needsTimes: Bool
    private let rowsMax: Int
    private var origin: Origin
    private var headers: [FileSource.Header] = []
    private var lastHeader = -1
    private lazy var storage = RawRecordStorage(capacity: rowsMax)
    private lazy var copies = Arena(capacity: 1 << 16)
    private var filesSorted: [FileSource.Place] = []
    /// Records that `next` has given, and of how many; -1: not known.
    private(set) var recordsTaken: Int64 = 0
    private(set) var recordsTotal: Int64 = -1
    private(set) var isSorted = false

    /// `open` begins to read the input anew. `needsTimes`: blocks have event times.
    init(
        _ eventTimes: EventTimes, headers: HeaderCheck, needsTimes: Bool, rowsMax: Int,
        open: @escaping () throws(Fault) -> FileSource
    ) throws(Fault) {
        self.eventTimes = eventTimes
        headerCheck = headers
        self.needsTimes = needsTimes
        self.rowsMax = rowsMax
        self.open = open
        let file = try open()
        paths = file.paths
        origin = .file(file, left: .max)
    }

    var disorder: EventTimes.Disorder { eventTimes.disorder }

    /// The files that were opened so far, and where each begins.
    var files: [FileSource.Place] {
        if case .file(let file, _) = origin, !isSorted { file.places } else { filesSorted }
    }

    /// The one of `files` that the record with this number stands in.
    func fileIndex(of number: Int64) -> Int { (files.lastIndex { $0.first <= number } ?? 0) }

    /// Bytes of the files that were read, and their size; 0 for pipes.
    var bytes: (read: Int64, total: Int64) {
        guard case .file(let file, _) = origin else { return (0, 0) }
        return (file.bytesRead, file.bytesTotal)
    }

    // MARK: The order

    /// Puts the input into the order of event time.
    func sort(bytesMax: Int, _ progress: (_ read: Int64, _ total: Int64, _ records: Int64) -> Void)
        throws(Fault)
    {
        guard case .file(let file, _) = origin else { return }
        let isDone = try sort(file, bytesMax, mayReadAgain: file.canBeReadAgain, progress)
        // It was in order for longer than memory lasts, and then no more.
        if !isDone { _ = try sort(try open(), bytesMax, mayReadAgain: false, progress) }
        isSorted = true
    }

    /// False if the input has to be read once more for that.
    private func sort(
        _ file: FileSource, _ bytesMax: Int, mayReadAgain: Bool,
        _ progress: (_ read: Int64, _ total: Int64, _ records: Int64) -> Void
    ) throws(Fault) -> Bool {
        eventTimes.restart()
        headers = []
        var buffer = RecordBuffer()
        var runs: RunFile?
        var isKept = true
        var count: Int64 = 0
        while let block = try read(file) {
            if let header = block.header {
                headers.append(header)
                eventTimes.setHeader(header)
            }
            let times = eventTimes.read(block.records)
            count += Int64(block.records.count)
            progress(file.bytesRead, file.bytesTotal, count)
            if !isKept {
                if eventTimes.disorder.records > 0 { return false }
                continue
            }
            buffer.add(block.records, times, header: headers.count - 1)
            if buffer.byteCount < bytesMax { continue }
            if mayReadAgain, eventTimes.disorder.records == 0 {
                isKept = false
                buffer = RecordBuffer()
                continue
            }
            if eventTimes.disorder.records > 0 { buffer.sort() }
            if runs == nil { runs = try RunFile() }
            try runs?.add(buffer)
            buffer.removeAll()
        }
        filesSorted = file.places
        recordsTotal = count
        if let runs {
            if eventTimes.disorder.records > 0 { buffer.sort() }
            try runs.add(buffer)
            origin = .runs(try RunMerge(runs, bytesMax: bytesMax))
        } else if isKept {
            if eventTimes.disorder.records > 0 { buffer.sort() }
            origin = .memory(buffer, next: 0)
        } else {
            eventTimes.restart()
            origin = .file(try open(), left: count)
        }
        return true
    }

    // MARK: Records

    /// The next records, at most `rowsMax`; valid until the next call; nil at the end.
    func next() throws(Fault) -> Block? {
        let block: Block?
        switch origin {
        case .file(let file, let left): block = try next(of: file, left)
        case .memory(let buffer, let next): block = self.next(of: buffer, next)
        case .runs(let merge): block = try next(of: merge)
        }
        recordsTaken += Int64(block?.records.count ?? 0)
        return block
    }

    /// The next block of a file, whose header can be read right; what people should know of it is told.
    private func read(_ file: FileSource) throws(Fault) -> FileSource.Block? {
        let block = try file.next()
        var found = file.takeWarnings()
        if let header = block?.header {
            found += try headerCheck.check(header.names, path: header.path, line: header.line)
        }
        for warning in found where warnings.insert(warning).inserted { Log.warning(warning) }
        return block
    }

    private func next(of file: FileSource, _ left: Int64) throws(Fault) -> Block? {
        guard left > 0, let block = try read(file) else {
            if isSorted, left > 0 {
                let path = files.last?.path ?? "the input"
                throw Fault(
                    .external, "\(path): it has fewer records than a moment ago; somebody writes to it")
            }
            return nil
        }
        if let header = block.header { eventTimes.setHeader(header) }
        // What somebody has added in the meantime does not belong to it.
        let records = block.records.slice(from: 0, count: Int(min(left, Int64(block.records.count))))
        if isSorted { origin = .file(file, left: left - Int64(records.count)) }
        let times = needsTimes || !isSorted ? eventTimes.read(records) : []
        return Block(records: records, times: times, header: block.header)
    }

    private func next(of buffer: RecordBuffer, _ first: Int) -> Block? {
        guard first < buffer.entries.count else { return nil }
        let header = buffer.entries[first].header
        var times: [Int64] = []
        var count = 0
        while count < rowsMax, first + count < buffer.entries.count,
            buffer.entries[first + count].header == header
        {
            let entry = buffer.entries[first + count]
            put(entry, entry.bytes, at: count)
            if needsTimes { times.append(entry.time) }
            count += 1
        }
        origin = .memory(buffer, next: first + count)
        return finish(count, times, header)
    }

    private func next(of merge: RunMerge) throws(Fault) -> Block? {
        guard let header = merge.first?.header else { return nil }
        var times: [Int64] = []
        var places: [Int] = []
        copies.removeAll()
        while places.count < rowsMax, let entry = merge.first, entry.header == header {
            places.append(entry.bytes == nil ? -1 : copies.count)
            if let bytes = entry.bytes { _ = copies.append(bytes, Int(entry.keptCount)) }
            put(entry, nil, at: places.count - 1)
            if needsTimes { times.append(entry.time) }
            try merge.advance()
        }
        copies.reserve(RecordBuffer.padding)
        for (row, place) in places.enumerated() where place >= 0 {
            storage.values[row] = UnsafePointer(copies.base + place)
        }
        return finish(places.count, times, header)
    }

    private func put(_ entry: RecordBuffer.Entry, _ bytes: UnsafePointer<UInt8>?, at row: Int) {
        storage.values[row] = bytes
        storage.valueCounts[row] = entry.count
        storage.keys[row] = nil
        storage.keyCounts[row] = -1
        storage.offsets[row] = entry.number
        storage.timestamps[row] = -1
    }

    private func finish(_ count: Int, _ times: [Int64], _ header: Int32) -> Block {
        let isNew = Int(header) != lastHeader && header >= 0
        if isNew { lastHeader = Int(header) }
        return Block(
            records: RawRecords(at: storage, from: 0, count: count), times: times,
            header: isNew ? headers[Int(header)] : nil)
    }
}
