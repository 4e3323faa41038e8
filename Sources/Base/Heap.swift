import CMalloc
import Glibc

/// The allocator of the C library, which the Kafka client takes its records from.
package enum Heap {
    /// Lets freed memory be taken again rather than go back to the kernel. To be called before there is a
    /// second thread.
    ///
    /// The client allocates each record in a thread of its own, and a lane frees it. glibc gives such a
    /// thread pieces of 64 MiB and returns each as soon as it is empty, so that a record nearly always comes
    /// to lie on pages that the kernel has yet to find and to clear: up to a third of all that a record
    /// costs. One heap for all threads keeps its pages. It stays as large as it ever was, which
    /// `KafkaSettings.prefetchBytes` bounds.
    ///
    /// glibc's environment variables have precedence: with many lanes on many cores, MALLOC_ARENA_MAX may be
    /// raised.
    package static func keepFreedMemory() {
        set("MALLOC_ARENA_MAX", M_ARENA_MAX, 1)
        set("MALLOC_MMAP_THRESHOLD_", M_MMAP_THRESHOLD, Limits.heapBlockBytesMax)
        set("MALLOC_TRIM_THRESHOLD_", M_TRIM_THRESHOLD, Limits.heapFreeBytesMax)
        set("MALLOC_TOP_PAD_", M_TOP_PAD, Limits.heapGrowthBytes)
    }

    private static func set(_ variable: String, _ parameter: Int32, _ value: Int) {
        if getenv(variable) == nil { _ = mallopt(parameter, Int32(value)) }
    }
}
