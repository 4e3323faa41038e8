import Base
import Connectors
import Dataflow
import Foundation
import Testing

/// Goal: what `stdout` is handed stands in its descriptor when `write` returns, line by line, whole also
/// where lanes write at once; and a reader that has left is a fault with a name.
@Suite struct StdoutSinkTests {
    private static func outbox(_ values: [String]) -> Outbox {
        var outbox = Outbox()
        for value in values {
            var record = outbox.begin(.sink(0), timestamp: 1)
            Array(value.utf8).withUnsafeBufferPointer {
                outbox.setValue($0.baseAddress, $0.count, of: &record)
            }
            outbox.end(record)
        }
        return outbox
    }

    private static func sink(_ descriptor: Int32) -> StdoutSink {
        StdoutSink(FileWriter(descriptor: descriptor, named: "standard output"))
    }

    @Test func linesAreOutWhenTheCallIs() throws {
        let pipe = Pipe()
        let sink = Self.sink(pipe.fileHandleForWriting.fileDescriptor)
        try sink.write(Self.outbox(["{\"n\":1}", "{\"n\":2}"]))
        #expect(
            String(decoding: pipe.fileHandleForReading.availableData, as: UTF8.self)
                == "{\"n\":1}\n{\"n\":2}\n")
        try sink.write(Self.outbox(["{\"n\":3}"]))
        #expect(String(decoding: pipe.fileHandleForReading.availableData, as: UTF8.self) == "{\"n\":3}\n")
    }

    @Test func linesOfLanesAreWhole() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent(
            "millrace-\(UUID().uuidString)"
        ).path
        defer { unlink(path) }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        defer { close(descriptor) }
        // Two sinks of one topology, each shared by two lanes. Commits larger than the writer's buffer are
        // written in pieces.
        let sinks = [Self.sink(descriptor), Self.sink(descriptor)]
        let long = String(repeating: "x", count: 1000)
        DispatchQueue.concurrentPerform(iterations: 4) { lane in
            for commit in 0..<5 {
                let lines = (0..<600).map { "\(lane) \(commit) \($0) \(long)" }
                #expect(throws: Never.self) { try sinks[lane % 2].write(Self.outbox(lines)) }
            }
        }
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        #expect(lines.count == 12_000 && lines.allSatisfy { $0.hasSuffix(" " + long) && $0.count < 1020 })
        // Of a lane in order, and a commit's together.
        for lane in 0..<4 {
            let own = lines.filter { $0.hasPrefix("\(lane) ") }.map { $0.dropLast(1001) }
            #expect(
                own.map(String.init)
                    == (0..<5).flatMap { commit in (0..<600).map { "\(lane) \(commit) \($0)" } })
        }
        let commits = lines.map { $0.split(separator: " ").prefix(2).joined(separator: " ") }
        #expect(zip(commits, commits.dropFirst()).count { $0 != $1 } == 19)
    }

    @Test func aReaderThatHasLeft() throws {
        signal(SIGPIPE, SIG_IGN)
        let pipe = Pipe()
        let sink = Self.sink(pipe.fileHandleForWriting.fileDescriptor)
        try pipe.fileHandleForReading.close()
        #expect(throws: Fault(.external, "standard output: Broken pipe")) {
            try sink.write(Self.outbox(["{}"]))
        }
    }
}
