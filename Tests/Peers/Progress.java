import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;

/** What a peer tells `millrace bench peers` on its standard output. */
final class Progress {
    /** Taken in so far, by all threads. */
    static final LongAdder records = new LongAdder();
    private static final CountDownLatch ended = new CountDownLatch(1);

    /** RUNNING is what is waited for. */
    static void state(Object state) {
        System.out.println("state " + state);
    }

    static void end() {
        ended.countDown();
    }

    /**
     * One line a tenth of a second, with the monotonic clock in nanoseconds and the records, until the job ends or
     * nobody reads it any more.
     */
    static void tell() throws InterruptedException {
        ProcessHandle reader = ProcessHandle.current().parent().orElseThrow();
        while (!ended.await(100, TimeUnit.MILLISECONDS)) {
            if (!reader.isAlive()) Runtime.getRuntime().halt(1);
            System.out.println("records " + System.nanoTime() + " " + records.sum());
        }
    }
}
