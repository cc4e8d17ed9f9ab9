import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.StateRestoreListener;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The counter job with Kafka Streams: one thread, an in-memory store with its cache and changelog.
 *
 * <p>Arguments: broker, application id, events topic, facts topic, at_least_once or exactly_once_v2, state folder.
 * Prints a line for each restored partition: "restored PARTITION RECORDS MILLISECONDS", and "all restored RECORDS
 * MILLISECONDS" for all of them so far, from the first start to the last end.
 */
public final class CounterStreams {
    @JsonIgnoreProperties(ignoreUnknown = true)
    public static final class Event {
        public int latency_ms;
    }

    static final class Counter implements Processor<byte[], byte[], byte[], byte[]> {
        private final ObjectReader reader = new ObjectMapper().readerFor(Event.class);
        private ProcessorContext<byte[], byte[]> context;
        private KeyValueStore<String, byte[]> store;

        @Override
        public void init(ProcessorContext<byte[], byte[]> context) {
            this.context = context;
            this.store = context.getStateStore("state");
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            try {
                Event event = reader.readValue(record.value());
                String key = new String(record.key(), StandardCharsets.UTF_8);
                byte[] held = store.get(key);
                long count = (held == null ? 0 : ByteBuffer.wrap(held).getLong(8)) + 1;
                long offset = context.recordMetadata().get().offset();
                store.put(key, ByteBuffer.allocate(16).putLong(offset).putLong(count).array());
                if (count % 100 == 0) {
                    byte[] name = (key + ":" + count).getBytes(StandardCharsets.UTF_8);
                    byte[] fact = ("{\"latency_ms\":" + event.latency_ms + "}").getBytes(StandardCharsets.UTF_8);
                    context.forward(new Record<>(name, fact, record.timestamp()));
                }
            } catch (java.io.IOException error) {
                throw new IllegalArgumentException(error);
            }
        }
    }

    static final class Restored implements StateRestoreListener {
        private final Map<TopicPartition, Long> started = new ConcurrentHashMap<>();
        private long first = Long.MAX_VALUE;
        private long records;

        @Override
        public synchronized void onRestoreStart(TopicPartition part, String store, long start, long end) {
            started.put(part, System.currentTimeMillis());
            first = Math.min(first, System.currentTimeMillis());
        }

        @Override
        public void onBatchRestored(TopicPartition part, String store, long end, long count) {}

        @Override
        public synchronized void onRestoreEnd(TopicPartition part, String store, long total) {
            long now = System.currentTimeMillis();
            records += total;
            System.out.println("restored " + part.partition() + " " + total + " " + (now - started.get(part)));
            System.out.println("all restored " + records + " " + (now - first));
            System.out.flush();
        }
    }

    public static void main(String[] arguments) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[1]);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, arguments[4]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[5]);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 64L << 20);
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        if (arguments[4].equals("at_least_once")) {
            settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000);
        }
        Topology topology = new Topology();
        var bytes = Serdes.ByteArray();
        topology.addSource("events", bytes.deserializer(), bytes.deserializer(), arguments[2]);
        topology.addProcessor("count", Counter::new, "events");
        topology.addStateStore(
            Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore("state"), Serdes.String(), bytes)
                .withCachingEnabled().withLoggingEnabled(Map.of()),
            "count");
        topology.addSink("facts", arguments[3], bytes.serializer(), bytes.serializer(), "count");
        KafkaStreams streams = new KafkaStreams(topology, settings);
        streams.setGlobalStateRestoreListener(new Restored());
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }
}
