"""Whether a request concerns a webhook or a policy: rules, selectors, equivalent versions. Shared by both; calls and evaluates nothing."""
