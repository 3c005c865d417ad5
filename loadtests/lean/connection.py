"""Requests and answers over one persistent connection of one user."""

from __future__ import annotations

from typing import NoReturn

from .endpoint import Endpoint
from .errors import AnswerTimeout
from .reader import Answer, AnswerReader, whole_answer
from .request import Prepared
from .stream import Closed, Stream, TimeUp, clock
from .tls import TlsStream
from .trouble import broken, closed_early


class Connection:
    """A connection that is made when it is needed and kept as long as the server keeps it. One greenlet at a time."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._stream = TlsStream(endpoint) if endpoint.tls is not None else Stream(endpoint)

    def close(self) -> None:
        """Close the connection, if there is one; the next exchange makes another."""
        self._stream.close()

    def exchange(self, prepared: Prepared, *, keep_body: bool = False) -> Answer:
        """Send a request and read its answer, whatever its status.

        A request on a kept connection that the server has closed before any byte of the answer is sent once more on a
        new one if it is idempotent (RFC 9112, 9.3.1), and counted (``endpoint.counters.resent``).

        Raises:
            WireError: There is no sound answer, for the reason that its class names. The connection is closed by then.
        """
        stream = self._stream
        stream.settle()
        try:
            kept = stream.is_open
            if not kept:
                stream.open()
            try:
                answer = self._once(prepared, keep_body)
            except Closed as closed:
                if not (kept and prepared.resendable):
                    self._raise_early(closed, prepared)
                answer = self._once_more(prepared, keep_body)
        except TimeUp as error:
            stream.close()
            limit_s = self._endpoint.answer_timeout_s
            raise AnswerTimeout(f"{self._endpoint.where} did not answer completely within {limit_s:g} s") from error
        except BaseException:  # the greenlet's own end, too: half an exchange must never be continued
            stream.close()
            raise
        if not answer.reusable:
            stream.close()
        return answer

    def _once_more(self, prepared: Prepared, keep_body: bool) -> Answer:
        self._stream.close()
        self._endpoint.counters.resent += 1
        self._stream.open()
        try:
            return self._once(prepared, keep_body)
        except Closed as closed:
            self._raise_early(closed, prepared)

    def _raise_early(self, closed: Closed, prepared: Prepared) -> NoReturn:
        request = f"{prepared.method} {prepared.name}"
        raise closed_early(closed.error, self._endpoint.where, request) from closed

    def _once(self, prepared: Prepared, keep_body: bool) -> Answer:
        """One exchange on an open connection. Raises :class:`Closed` if it ended before the first byte of an answer."""
        stream = self._stream
        stream.deadline = clock() + self._endpoint.answer_timeout_s
        sent = stream.send(prepared.data)
        data = stream.receive()
        answer = None if keep_body else whole_answer(data, prepared.bodiless)
        if answer is None:
            answer = self._read_on(data, AnswerReader(bodiless=prepared.bodiless, keep_body=keep_body))
        if not sent:  # answered before all of the request was read: the rest of it would be taken for another
            stream.close()
        return answer

    def _read_on(self, data: bytes, reader: AnswerReader) -> Answer:
        answer = reader.feed(data)
        try:
            while answer is None:
                answer = reader.feed(self._stream.receive())
        except Closed as closed:
            if closed.error is not None:
                raise broken(closed.error, self._endpoint.where, "in the middle of an answer") from closed
            return reader.closed()
        return answer
