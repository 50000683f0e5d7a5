"""For authors of plug-ins: conformance suites that their tests subclass."""
