import Base
import CRdkafka
import Glibc
import Synchronization

/// Destroys clients, and waits for it for a while only: with librdkafka 2.0.2 a consumer of a topic that was
/// deleted never ends (a reference that is not given back; mended in 2.1.0), nor does a client whose name
/// service does not answer.
enum KafkaUndertaker {
    private static let waitMilliseconds: Int64 = 3000

    private final class Job: @unchecked Sendable {
        let handle: OpaquePointer
        let flags: Int32
        /// Its callbacks use them to the end.
        let reports: UnsafeMutablePointer<KafkaReports>
        let isDone = Atomic<Bool>(false)

        init(_ handle: OpaquePointer, _ flags: Int32, _ reports: UnsafeMutablePointer<KafkaReports>) {
            self.handle = handle
            self.flags = flags
            self.reports = reports
        }

        func run() {
            rd_kafka_destroy_flags(handle, flags)
            reports.deinitialize(count: 1)
            reports.deallocate()
            isDone.store(true, ordering: .releasing)
        }
    }

    static func destroy(
        _ handle: OpaquePointer, _ flags: Int32, _ reports: UnsafeMutablePointer<KafkaReports>
    ) {
        let job = Job(handle, flags, reports)
        var thread = pthread_t()
        let context = Unmanaged.passRetained(job)
        let code = pthread_create(
            &thread, nil,
            { context in
                if let context { Unmanaged<Job>.fromOpaque(context).takeRetainedValue().run() }
                return nil
            }, context.toOpaque())
        require(code == 0, "no thread: \(code)")
        pthread_detach(thread)
        let deadline = monotonicNanoseconds() + waitMilliseconds * 1_000_000
        while !job.isDone.load(ordering: .acquiring), monotonicNanoseconds() < deadline { usleep(500) }
        if !job.isDone.load(ordering: .acquiring) {
            Log.debug("kafka: a client does not end; it is left to itself")
        }
    }
}
