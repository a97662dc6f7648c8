"""The names under which partners know what we ask of them: the same for every attempt at the same thing."""

from integration.messaging.message import Message


class BusinessKeys:
    """A partner that has seen a key or reference answers with what it did then, instead of doing it again.

    So neither may depend on the attempt: a new one per attempt is a new order to the partner.
    """

    def key(self, message: Message) -> str:
        """The Idempotency-Key of an outbound message."""
        return message.business_key

    def reference(self, message: Message, reference: str) -> str:
        """The partner-facing form of one of our ids (release, label, change, shipment) inside a message."""
        del message
        return reference
