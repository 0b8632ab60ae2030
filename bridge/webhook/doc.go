// Package webhook posts the messages of an application to the URL that its owner has
// set, as the webhooks of The Things Stack do: the same JSON as on MQTT, in the order of
// the messages.
//
// Messages wait in a queue of the application, which is bounded, as all queues together
// are: the oldest goes when there are too many. A message that cannot be delivered is
// tried again, later each time; while a host is down it is asked once in five minutes.
// What waits is in memory and does not outlive a restart.
package webhook
