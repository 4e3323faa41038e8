import java.time.Duration;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.apache.flink.api.common.JobStatus;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.sink.legacy.RichSinkFunction;
import org.apache.flink.streaming.api.functions.source.legacy.RichParallelSourceFunction;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.Schema;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * The job of `millrace bench peers` in Flink SQL, in a cluster of one process: of the paid orders, count and sum per
 * merchant over 5 minutes sliding by 10 seconds, emitted when a window closes; an alert when the sum passes the limit
 * and did not in the window before.
 *
 * Settings that make it quick: heap state, no checkpoints, parallelism two, objects reused, rows in the form that the
 * tables have inside, windows aggregated in two phases, the first of which needs no network.
 *
 * Arguments: brokers, orders' topic, alerts' topic, name (unused), limit in cents, guarantee (at-least-once).
 */
@SuppressWarnings("deprecation") // Of sources and sinks in a dozen lines there is no other kind.
public final class FlinkJob {
    private static final long SLIDE = 10_000;
    private static final int PARALLELISM = 2;
    private static final RowType ROW = (RowType) DataTypes.ROW(
        DataTypes.FIELD("merchant", DataTypes.STRING()),
        DataTypes.FIELD("kind", DataTypes.STRING()),
        DataTypes.FIELD("cents", DataTypes.BIGINT())).getLogicalType();

    /**
     * In place of the connector, which does not come with Flink's libraries: each instance reads its share of the
     * partitions from their beginning. Its watermark is that of the partition that is furthest behind, as the
     * connector's is; behind the sources Flink takes the lowest of them.
     */
    static final class OrdersSource extends RichParallelSourceFunction<RowData> {
        private static final long OUT_OF_ORDER = 1000;
        private static final long WATERMARK_INTERVAL = 200_000_000;
        private final String brokers;
        private final String topic;
        private volatile boolean isRunning = true;

        OrdersSource(String brokers, String topic) {
            this.brokers = brokers;
            this.topic = topic;
        }

        @Override
        public void run(SourceContext<RowData> context) {
            Map<String, Object> settings = Map.of(
                ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers,
                ConsumerConfig.MAX_POLL_RECORDS_CONFIG, 5000,
                ConsumerConfig.FETCH_MAX_BYTES_CONFIG, 64 << 20,
                ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG, 4 << 20);
            var bytes = new ByteArrayDeserializer();
            try (var consumer = new KafkaConsumer<>(settings, bytes, bytes)) {
                int own = getRuntimeContext().getTaskInfo().getIndexOfThisSubtask();
                int instances = getRuntimeContext().getTaskInfo().getNumberOfParallelSubtasks();
                List<TopicPartition> partitions = new ArrayList<>();
                Map<TopicPartition, Long> newest = new HashMap<>();
                for (var info : consumer.partitionsFor(topic)) {
                    if (info.partition() % instances != own) continue;
                    partitions.add(new TopicPartition(topic, info.partition()));
                }
                for (var partition : partitions) newest.put(partition, Long.MIN_VALUE);
                consumer.assign(partitions);
                consumer.seekToBeginning(partitions);
                GenericRowData row = new GenericRowData(3);
                long told = System.nanoTime();
                while (isRunning) {
                    var batch = consumer.poll(Duration.ofMillis(100));
                    for (var partition : batch.partitions()) {
                        long latest = newest.get(partition);
                        for (ConsumerRecord<byte[], byte[]> record : batch.records(partition)) {
                            Order order = Order.parse(record.value());
                            row.setField(0, StringData.fromBytes(record.key()));
                            row.setField(1, StringData.fromString(order.kind()));
                            row.setField(2, order.cents());
                            context.collectWithTimestamp(row, order.time());
                            latest = Math.max(latest, order.time());
                        }
                        newest.put(partition, latest);
                    }
                    Progress.records.add(batch.count());
                    if (System.nanoTime() - told < WATERMARK_INTERVAL) continue;
                    told = System.nanoTime();
                    long behind = newest.values().stream().min(Long::compare).orElse(Long.MAX_VALUE);
                    if (behind != Long.MIN_VALUE) context.emitWatermark(new Watermark(behind - OUT_OF_ORDER - 1));
                }
            }
        }

        @Override
        public void cancel() { isRunning = false; }
    }

    /** Raises on the edge; a window in which the merchant has no order counts as one below the limit. */
    static final class Edge extends KeyedProcessFunction<String, Row, Row> {
        /** The end of the last window that was above the limit. */
        private transient ValueState<Long> above;

        @Override
        public void open(OpenContext context) {
            above = getRuntimeContext().getState(new ValueStateDescriptor<>("above", Types.LONG));
        }

        @Override
        public void processElement(Row window, Context context, Collector<Row> edges) throws Exception {
            long end = end(window);
            Long last = above.value();
            above.update(end);
            if (last == null || last != end - SLIDE) edges.collect(window);
        }
    }

    static final class AlertsSink extends RichSinkFunction<Row> {
        private final String brokers;
        private final String topic;
        private transient KafkaProducer<String, String> producer;

        AlertsSink(String brokers, String topic) {
            this.brokers = brokers;
            this.topic = topic;
        }

        @Override
        public void open(OpenContext context) {
            producer = new KafkaProducer<>(
                Map.of(
                    ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers,
                    ProducerConfig.COMPRESSION_TYPE_CONFIG, "lz4",
                    ProducerConfig.LINGER_MS_CONFIG, 5),
                new StringSerializer(), new StringSerializer());
        }

        @Override
        public void invoke(Row window, Context context) {
            producer.send(new ProducerRecord<>(
                topic, window.getFieldAs("merchant"),
                end(window) + "," + window.getField("n") + "," + window.getField("cents")));
        }

        @Override
        public void close() { if (producer != null) producer.close(); }
    }

    private static long end(Row window) {
        LocalDateTime end = window.getFieldAs("window_end");
        return end.toInstant(ZoneOffset.UTC).toEpochMilli();
    }

    public static void main(String[] arguments) throws Exception {
        String brokers = arguments[0];
        if (!arguments[5].equals("at-least-once")) {
            throw new IllegalArgumentException("there are no checkpoints, hence not " + arguments[5]);
        }

        Configuration settings = new Configuration();
        settings.setString("state.backend.type", "hashmap");
        settings.setString("pipeline.object-reuse", "true");
        settings.setString("taskmanager.memory.managed.size", "512m");
        settings.setString("taskmanager.memory.network.min", "256m");
        settings.setString("taskmanager.memory.network.max", "256m");
        var streams = StreamExecutionEnvironment.createLocalEnvironment(PARALLELISM, settings);
        var tables = StreamTableEnvironment.create(streams);
        // As the windows' ends are read.
        tables.getConfig().setLocalTimeZone(ZoneOffset.UTC);
        tables.getConfig().set("table.exec.mini-batch.enabled", "true");
        tables.getConfig().set("table.exec.mini-batch.allow-latency", "1 s");
        tables.getConfig().set("table.exec.mini-batch.size", "50000");
        tables.getConfig().set("table.optimizer.agg-phase-strategy", "TWO_PHASE");

        DataStream<RowData> orders = streams
            .addSource(new OrdersSource(brokers, arguments[1]), "orders", InternalTypeInfo.of(ROW));
        tables.createTemporaryView("orders", orders, Schema.newBuilder()
            .column("merchant", "STRING")
            .column("kind", "STRING")
            .column("cents", "BIGINT")
            .columnByMetadata("event_time", DataTypes.TIMESTAMP_LTZ(3), "rowtime")
            .watermark("event_time", "SOURCE_WATERMARK()")
            .build());
        tables.createTemporaryView(
            "paid", tables.sqlQuery("SELECT merchant, cents, event_time FROM orders WHERE kind = 'paid'"));
        String turnover = """
            SELECT merchant, window_end, COUNT(*) AS n, SUM(cents) AS cents
            FROM HOP(TABLE paid, DESCRIPTOR(event_time), INTERVAL '10' SECOND, INTERVAL '5' MINUTE)
            GROUP BY merchant, window_start, window_end
            HAVING SUM(cents) > %s
            """.formatted(Long.parseLong(arguments[4]));
        tables.toDataStream(tables.sqlQuery(turnover))
            .keyBy(window -> window.<String>getFieldAs("merchant"))
            .process(new Edge())
            .returns(Types.GENERIC(Row.class))
            .addSink(new AlertsSink(brokers, arguments[2]));

        JobClient job = streams.executeAsync("velocity");
        while (job.getJobStatus().get() != JobStatus.RUNNING) Thread.sleep(20);
        Progress.state("RUNNING");
        job.getJobExecutionResult().whenComplete((result, error) -> {
            if (error != null) error.printStackTrace();
            Progress.end();
        });
        Progress.tell();
    }
}
