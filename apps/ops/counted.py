"""The base of every view of the API: requests are counted before anything refuses them."""

from typing import Any

from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.views import APIView


class CountedAPIView(APIView):
    """Counts each request against its limits first: also who only guesses keys or addresses is slowed down.

    DRF alone counts what it lets in. Here a request that proves nobody counts for its network.
    """

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """DRF's hook before the method. Raises `TooManyRequests` in place of whatever else is wrong."""
        try:
            self.perform_authentication(request)
        except APIException:
            self.check_throttles(request)  # by now the request is nobody's
            raise
        self.check_throttles(request)
        super().initial(request, *args, **kwargs)
