package otlp

// message is one of OTLP's messages, as JSON has it.
type message int

// The messages.
const (
	logsRequest message = iota
	resourceLogs
	scopeLogs
	logRecord
	resource
	scope
	keyValue
	anyValue
	arrayValue
	keyValueList
	metricsRequest
	resourceMetrics
	scopeMetrics
	metric
	gaugeData
	sumData
	histogramData
	exponentialData
	summaryData
	numberPoint
	histogramPoint
	exponentialPoint
	bucketsOfPoint
	summaryPoint
	quantileValueOf
	exemplar
)

// form is how a value is written.
type form uint8

const (
	formText   form = iota
	formBytes       // base64 in JSON
	formHex         // hexadecimal in JSON
	formBool        // a varint
	formVarint      // int32, int64, uint32, uint64, and enums
	formSigned      // sint32
	formFixed       // fixed64, sfixed64
	formFixed32
	formDouble
	formMessage
)

// jsonField is a key with the field that it is.
type jsonField struct {
	name    string
	number  uint32
	form    form
	list    bool
	message message
}

// field returns the field of a key, nil if there is none.
func (m message) field(key []byte) *jsonField {
	for i := range schema[m] {
		if f := &schema[m][i]; f.name == string(key) {
			return f
		}
	}
	return nil
}

func one(name string, number uint32, form form) jsonField {
	return jsonField{name: name, number: number, form: form}
}

func many(name string, number uint32, form form) jsonField {
	return jsonField{name: name, number: number, form: form, list: true}
}

func inner(name string, number uint32, m message) jsonField {
	return jsonField{name: name, number: number, form: formMessage, message: m}
}

func list(name string, number uint32, m message) jsonField {
	return jsonField{name: name, number: number, form: formMessage, message: m, list: true}
}

var schema = [...][]jsonField{
	logsRequest:  {list("resourceLogs", requestResources, resourceLogs)},
	resourceLogs: {inner("resource", partsOrigin, resource), list("scopeLogs", partsItems, scopeLogs)},
	scopeLogs:    {inner("scope", partsOrigin, scope), list("logRecords", partsItems, logRecord)},
	logRecord: {
		one("timeUnixNano", logTime, formFixed), one("observedTimeUnixNano", logObserved, formFixed), one("severityNumber", logSeverity, formVarint),
		one("severityText", logSeverityText, formText), inner("body", logBody, anyValue), list("attributes", logAttributes, keyValue),
		one("droppedAttributesCount", logDropped, formVarint), one("flags", logFlags, formFixed32), one("traceId", logTraceID, formHex),
		one("spanId", logSpanID, formHex), one("eventName", logEventName, formText),
	},
	resource: {list("attributes", resourceAttributes, keyValue)},
	scope:    {one("name", scopeName, formText), one("version", scopeVersion, formText), list("attributes", scopeAttributes, keyValue)},
	keyValue: {one("key", pairKey, formText), inner("value", pairValue, anyValue)},
	anyValue: {
		one("stringValue", valueText, formText), one("boolValue", valueBool, formBool), one("intValue", valueInt, formVarint), one("doubleValue", valueDouble, formDouble),
		inner("arrayValue", valueList, arrayValue), inner("kvlistValue", valueMap, keyValueList), one("bytesValue", valueBytes, formBytes),
	},
	arrayValue:      {list("values", listItems, anyValue)},
	keyValueList:    {list("values", listItems, keyValue)},
	metricsRequest:  {list("resourceMetrics", requestResources, resourceMetrics)},
	resourceMetrics: {inner("resource", partsOrigin, resource), list("scopeMetrics", partsItems, scopeMetrics)},
	scopeMetrics:    {inner("scope", partsOrigin, scope), list("metrics", partsItems, metric)},
	metric: {
		one("name", metricName, formText), one("description", metricDescription, formText), one("unit", metricUnit, formText),
		inner("gauge", uint32(Gauge), gaugeData), inner("sum", uint32(Sum), sumData), inner("histogram", uint32(Histogram), histogramData),
		inner("exponentialHistogram", uint32(ExponentialHistogram), exponentialData), inner("summary", uint32(Summary), summaryData),
	},
	gaugeData: {list("dataPoints", dataPoints, numberPoint)},
	sumData: {
		list("dataPoints", dataPoints, numberPoint), one("aggregationTemporality", dataTemporality, formVarint), one("isMonotonic", dataMonotonic, formBool),
	},
	histogramData:   {list("dataPoints", dataPoints, histogramPoint), one("aggregationTemporality", dataTemporality, formVarint)},
	exponentialData: {list("dataPoints", dataPoints, exponentialPoint), one("aggregationTemporality", dataTemporality, formVarint)},
	summaryData:     {list("dataPoints", dataPoints, summaryPoint)},
	numberPoint: {
		list("attributes", numberAttributes, keyValue), one("startTimeUnixNano", pointStart, formFixed), one("timeUnixNano", pointTime, formFixed),
		one("asDouble", numberDouble, formDouble), one("asInt", numberInt, formFixed), list("exemplars", numberExemplars, exemplar), one("flags", numberFlags, formVarint),
	},
	histogramPoint: {
		list("attributes", histogramAttributes, keyValue), one("startTimeUnixNano", pointStart, formFixed), one("timeUnixNano", pointTime, formFixed),
		one("count", histogramCount, formFixed), one("sum", histogramSum, formDouble), many("bucketCounts", histogramCounts, formFixed),
		many("explicitBounds", histogramBounds, formDouble), list("exemplars", histogramExemplars, exemplar), one("flags", histogramFlags, formVarint),
	},
	exponentialPoint: {
		list("attributes", exponentialAttributes, keyValue), one("startTimeUnixNano", pointStart, formFixed), one("timeUnixNano", pointTime, formFixed),
		one("count", histogramCount, formFixed), one("sum", histogramSum, formDouble), one("scale", exponentialScale, formSigned),
		one("zeroCount", exponentialZero, formFixed), inner("positive", exponentialPositive, bucketsOfPoint), inner("negative", exponentialNegative, bucketsOfPoint),
		one("flags", exponentialFlags, formVarint), list("exemplars", exponentialExemplars, exemplar), one("zeroThreshold", exponentialThreshold, formDouble),
	},
	bucketsOfPoint: {one("offset", bucketsOffset, formSigned), many("bucketCounts", bucketsCounts, formVarint)},
	summaryPoint: {
		list("attributes", summaryAttributes, keyValue), one("startTimeUnixNano", pointStart, formFixed), one("timeUnixNano", pointTime, formFixed),
		one("count", histogramCount, formFixed), one("sum", histogramSum, formDouble), list("quantileValues", summaryQuantiles, quantileValueOf), one("flags", summaryFlags, formVarint),
	},
	quantileValueOf: {one("quantile", quantileRank, formDouble), one("value", quantileValue, formDouble)},
	exemplar: {
		one("timeUnixNano", exemplarTime, formFixed), one("asDouble", exemplarDouble, formDouble), one("asInt", exemplarInt, formFixed),
		one("spanId", exemplarSpan, formHex), one("traceId", exemplarTrace, formHex),
	},
}
