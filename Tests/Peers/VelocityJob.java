import java.time.Duration;
import java.util.Properties;

import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.processor.TimestampExtractor;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The job of `millrace bench peers` in Kafka Streams: of the paid orders, count and sum per merchant over 5 minutes
 * sliding by 10 seconds, emitted when a window closes; an alert when the sum passes the limit and did not in the window
 * before. Beside it, an alert for every order that is marked, for the latency.
 *
 * Settings that make it quick: memory stores, two threads, windows emitted once, one pass of a streaming JSON parser.
 *
 * Arguments: brokers, orders' topic, alerts' topic, application id, limit in cents, guarantee.
 */
public final class VelocityJob {
    private static final long SIZE = 300_000;
    private static final long SLIDE = 10_000;

    record Turnover(long count, long cents) {}

    static final class OrderDeserializer implements Deserializer<Order> {
        @Override
        public Order deserialize(String topic, byte[] bytes) {
            Progress.records.increment();
            return Order.parse(bytes);
        }
    }

    static final class TurnoverSerde implements Serde<Turnover> {
        @Override
        public Serializer<Turnover> serializer() {
            return (topic, value) -> value == null ? null
                : java.nio.ByteBuffer.allocate(16).putLong(value.count).putLong(value.cents).array();
        }

        @Override
        public Deserializer<Turnover> deserializer() {
            return (topic, bytes) -> {
                if (bytes == null) return null;
                var buffer = java.nio.ByteBuffer.wrap(bytes);
                return new Turnover(buffer.getLong(), buffer.getLong());
            };
        }
    }

    /** Raises on the edge; a window in which the merchant has no order counts as one below the limit. */
    static final class EdgeProcessor implements Processor<Windowed<String>, Turnover, String, String> {
        private final long limit;
        private ProcessorContext<String, String> context;
        /** By merchant: the end of the last window that was above the limit. */
        private KeyValueStore<String, Long> above;

        EdgeProcessor(long limit) { this.limit = limit; }

        @Override
        public void init(ProcessorContext<String, String> context) {
            this.context = context;
            above = context.getStateStore("above");
        }

        @Override
        public void process(Record<Windowed<String>, Turnover> record) {
            if (record.value().cents <= limit) return;
            String merchant = record.key().key();
            long end = record.key().window().end();
            Long last = above.get(merchant);
            above.put(merchant, end);
            if (last != null && last == end - SLIDE) return;
            context.forward(new Record<>(
                merchant, end + "," + record.value().count + "," + record.value().cents, record.timestamp()));
        }
    }

    public static void main(String[] arguments) throws Exception {
        String orders = arguments[1];
        String alerts = arguments[2];
        long limit = Long.parseLong(arguments[4]);
        boolean isExactlyOnce = arguments[5].equals("exactly-once");

        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[3]);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, System.getProperty("java.io.tmpdir"));
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG,
            isExactlyOnce ? StreamsConfig.EXACTLY_ONCE_V2 : StreamsConfig.AT_LEAST_ONCE);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, isExactlyOnce ? 100 : 1000);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 5000);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 5);
        settings.put(StreamsConfig.InternalConfig.EMIT_INTERVAL_MS_KSTREAMS_WINDOWED_AGGREGATION, 0L);

        StreamsBuilder builder = new StreamsBuilder();
        TimestampExtractor times = (record, partitionTime) -> ((Order) record.value()).time();
        KStream<String, Order> stream = builder.stream(
            orders, Consumed.with(Serdes.String(), Serdes.serdeFrom((t, o) -> null, new OrderDeserializer()))
                .withTimestampExtractor(times));
        stream.filter((merchant, order) -> order.kind().equals("marked"))
            .mapValues(order -> "marked," + order.time())
            .to(alerts, Produced.with(Serdes.String(), Serdes.String()));
        builder.addStateStore(Stores.keyValueStoreBuilder(
            Stores.inMemoryKeyValueStore("above"), Serdes.String(), Serdes.Long()));
        stream.filter((merchant, order) -> order.kind().equals("paid"))
            .groupByKey(Grouped.with(Serdes.String(), Serdes.serdeFrom((t, o) -> null, new OrderDeserializer())))
            .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofMillis(SIZE), Duration.ofSeconds(1))
                .advanceBy(Duration.ofMillis(SLIDE)))
            .emitStrategy(EmitStrategy.onWindowClose())
            .aggregate(
                () -> new Turnover(0, 0),
                (merchant, order, sum) -> new Turnover(sum.count + 1, sum.cents + order.cents()),
                Materialized.<String, Turnover>as(Stores.inMemoryWindowStore(
                        "turnover", Duration.ofMillis(SIZE + 60_000), Duration.ofMillis(SIZE), false))
                    .withKeySerde(Serdes.String()).withValueSerde(new TurnoverSerde()))
            .toStream()
            .process(() -> new EdgeProcessor(limit), "above")
            .to(alerts, Produced.with(Serdes.String(), Serdes.String()));

        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            return StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        streams.setStateListener((now, before) -> {
            Progress.state(now);
            if (now == KafkaStreams.State.ERROR || now == KafkaStreams.State.NOT_RUNNING) Progress.end();
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(10))));
        streams.start();
        Progress.tell();
    }
}
